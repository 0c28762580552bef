"""Localized messages of operating-system errors on files and addresses."""

import errno
from collections.abc import Mapping

from core.messages import N_, _

_SAID: Mapping[int, str] = {
    errno.EACCES: N_("permission denied"),
    errno.EADDRINUSE: N_("the address is in use"),
    errno.EADDRNOTAVAIL: N_("this machine has no such address"),
    errno.EBUSY: N_("it is in use"),
    errno.EDQUOT: N_("the quota is used up"),
    errno.EEXIST: N_("it exists already"),
    errno.EFBIG: N_("the file would be too large"),
    errno.EINVAL: N_("the system does not accept it"),
    errno.EIO: N_("the disk does not answer as it should"),
    errno.EISDIR: N_("it is a folder"),
    errno.EMFILE: N_("too many open files"),
    errno.ENAMETOOLONG: N_("the name is too long"),
    errno.ENFILE: N_("too many open files"),
    errno.ENOENT: N_("no such file or folder"),
    errno.ENOSPC: N_("no space is left on the disk"),
    errno.ENOTDIR: N_("a part of the path is not a folder"),
    errno.ENOTEMPTY: N_("the folder is not empty"),
    errno.EPERM: N_("the system does not permit it"),
    errno.EROFS: N_("the disk is read-only"),
}
"""The system's own messages are always English, since Python does not set LC_MESSAGES."""


def system_reason(exc: OSError) -> str:
    """Return the localized reason of a system error, or else its own message or its class."""
    known = _SAID.get(exc.errno or 0)
    return _(known) if known else exc.strerror or type(exc).__name__
