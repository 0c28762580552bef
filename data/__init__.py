"""Generator of synthetic PEDE workbooks."""
