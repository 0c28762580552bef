"""How the data got here: the synthetic PEDE workbook generator."""
