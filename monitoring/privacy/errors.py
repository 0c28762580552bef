"""Errors of the deletion and export of data; none contains an identity.

PrivacyError
├── KeyMissing           the key of the pseudonyms is not set
├── IdentityMissing      an empty identity
├── FormatUnknown        a file name without a supported suffix
├── ExportUnwritable     the export cannot be written
└── FileLeft             a report, log or file of labels that cannot be changed or removed
"""

from core.errors import ProjectError
from core.messages import N_


class PrivacyError(ProjectError):
    """A failed deletion or export of a person's rows or of old data."""

    code = "privacy"


class KeyMissing(PrivacyError):
    """`PSEUDONYM_KEY` is not set; no facts."""

    code = "pseudonym_key_missing"
    message = N_(
        "PSEUDONYM_KEY is not set: set the same key that the API uses. If the API never had one, "
        "no identity was kept and there is nothing to look for."
    )


class IdentityMissing(PrivacyError):
    """An empty identity; no facts."""

    code = "identity_missing"
    message = N_("No identity was given.")


class FormatUnknown(PrivacyError):
    """A file name without a supported suffix; fact: `path`."""

    code = "format_unknown"
    message = N_("{path} does not say the format; use .json, .csv or .parquet.")


class ExportUnwritable(PrivacyError):
    """An export that cannot be written; facts: `path`, the system's `reason`."""

    code = "export_unwritable"
    message = N_("{path} cannot be written: {reason}.")


class FileLeft(PrivacyError):
    """A file that cannot be changed or removed; facts: `path`, the system's `reason`."""

    code = "file_left"
    message = N_("{path} could not be dealt with: {reason}. All else was done; repeat.")
