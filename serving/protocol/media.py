"""Media types of workbooks and lists."""

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SHEET_TYPES = (XLSX, "text/csv", "application/octet-stream")
"""None of them is sent by a plain form, so no other site can make a browser send a workbook."""
NDJSON = "application/x-ndjson"
