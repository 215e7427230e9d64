"""What people write about their images: class names, tables of labels, boxes, names of files."""
