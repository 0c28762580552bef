"""Media types of workbooks and lists."""

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SHEET_TYPES = (XLSX, "text/csv", "application/octet-stream")
"""A plain HTML form sends none of them, so no other site can make a browser send a workbook."""
NDJSON = "application/x-ndjson"
