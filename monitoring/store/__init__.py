"""Jobs on the inference store: reading, compaction, erasure."""
