"""What Parquet footers tell without reading a row: whether anyone is in it."""

import pyarrow.dataset as ds
import pyarrow.parquet as pq


def has_entities(source: ds.Dataset) -> bool:
    """Tell whether a row may have an entity: by the files' footers, which the scan needs anyway."""
    if not isinstance(source, ds.FileSystemDataset):
        batches = source.to_batches(columns=["entity"])
        return any(batch.column(0).null_count < len(batch) for batch in batches)
    return any(_footer_has_entities(part.metadata) for part in source.get_fragments())


def _footer_has_entities(footer: pq.FileMetaData) -> bool:
    if "entity" not in footer.schema.names:
        return False
    column = footer.schema.names.index("entity")
    for index in range(footer.num_row_groups):
        group = footer.row_group(index)
        known = group.column(column).statistics
        if known is None or not known.has_null_count or known.null_count < group.num_rows:
            return True
    return False
