"""Other methods of the paper's Table 1, one file each, and the comparison of all methods on equal terms.

`registry.METHODS` lists the methods. `tables` has the types of table.json and sweep.json.
"""
