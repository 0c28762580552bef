"""A workbook in, the scored list out."""
