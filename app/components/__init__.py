"""Components with JavaScript and CSS of their own."""
