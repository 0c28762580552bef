"""What can go wrong when data are deleted or handed out; nobody is ever named.

PrivacyError
├── KeyMissing           without the key nobody can be found
├── IdentityMissing      nobody was named
├── FormatUnknown        a file name that names no format
├── ExportUnwritable     the export cannot be written
└── FileLeft             a report, log or file of labels that cannot be changed or removed
"""

from core.errors import ProjectError
from core.messages import N_


class PrivacyError(ProjectError):
    """A person's rows, or old data, cannot be dealt with as asked."""

    code = "privacy"


class KeyMissing(PrivacyError):
    """No facts."""

    code = "pseudonym_key_missing"
    message = N_(
        "PSEUDONYM_KEY is not set: set the same key that the API uses. If the API never had one, "
        "no identity was kept and there is nothing to look for."
    )


class IdentityMissing(PrivacyError):
    """No facts."""

    code = "identity_missing"
    message = N_("No identity was given.")


class FormatUnknown(PrivacyError):
    """Fact: `path`."""

    code = "format_unknown"
    message = N_("{path} does not say the format; use .json, .csv or .parquet.")


class ExportUnwritable(PrivacyError):
    """Facts: `path`, the system's `reason`."""

    code = "export_unwritable"
    message = N_("{path} cannot be written: {reason}.")


class FileLeft(PrivacyError):
    """Facts: `path`, the system's `reason`."""

    code = "file_left"
    message = N_("{path} could not be dealt with: {reason}. All else was done; repeat.")
