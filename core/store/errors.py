"""Errors of the inference store.

StoreError
├── FileDamaged          a file or journal that cannot be read
├── StoreChanged         files were replaced while they were read
├── StoreUnreachable     the bucket does not answer, or rejects a request
├── StoreBusy            another job is changing the store (see `core.store.job_lock`)
├── JournalHeld          a proxy does not release a journal
└── StoreUnwritable      the folder cannot be changed
"""

from core.errors import ProjectError
from core.messages import N_


class StoreError(ProjectError):
    """Base class of errors of the inference store."""

    code = "store"


class FileDamaged(StoreError):
    """An unreadable file or journal; facts: `path`, `reason`."""

    code = "store_file_damaged"
    message = N_("The capture file {path} cannot be read ({reason}).")


class StoreChanged(StoreError):
    """Files replaced while they were read; fact: `store`."""

    code = "store_changed"
    message = N_("A file of {store} was replaced or damaged while it was read; repeat the command.")


class StoreUnreachable(StoreError):
    """A bucket that does not answer; facts: `store`, and the kind of failure as `cause`."""

    code = "store_unreachable"
    message = N_(
        "The inference store {store} does not answer ({cause}). Check its address and the "
        "variables AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    )


class StoreBusy(StoreError):
    """A store that another job is changing; fact: `store`."""

    code = "store_busy"
    message = N_("Another compaction or retention of {store} is running; repeat later.")


class BucketBusy(StoreBusy):
    """The same of a bucket; facts: `store`, and `claims`, where a killed job may have left one."""

    message = N_(
        "Another compaction or retention of {store} is running; repeat later, or delete "
        "{claims} if it was interrupted."
    )


class JournalHeld(StoreError):
    """A journal that was not released; facts: its `name`, and the `seconds` of the wait."""

    code = "journal_held"
    message = N_(
        "A process of the API did not release the journal {name} in {seconds} s. Restart the API "
        "and repeat; repeating is safe."
    )


class StoreUnwritable(StoreError):
    """A store that cannot be written; facts: `store`, the system's `reason`."""

    code = "store_unwritable"
    message = N_(
        "{store} could not be changed: {reason}. No answered row was lost; part of the work may "
        "be done. Free space or grant permission, and repeat."
    )
