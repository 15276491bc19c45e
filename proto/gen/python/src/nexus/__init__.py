"""Generated code of the contracts in proto/; never edited by hand."""
