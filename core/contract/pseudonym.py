"""A person's identity as a keyed pseudonym: the same in training, serving and monitoring."""

import hashlib
import hmac


def pseudonym(identity: str, key: str) -> str:
    """Return HMAC-SHA256 of the identity under `key`, as 64 hexadecimal digits.

    Surrounding space and case do not count, so `ra-12 ` and `RA-12` are one person.

    Raises:
        ValueError: the key is empty; an unkeyed hash of a short identity can be reversed by trying.
    """
    if not key:
        raise ValueError("PSEUDONYM_KEY is empty: without a key an identity must not be stored")
    return hmac.new(key.encode(), identity.strip().upper().encode(), hashlib.sha256).hexdigest()
