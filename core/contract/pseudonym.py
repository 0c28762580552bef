"""A person's identity as a keyed pseudonym: the same in training, serving and monitoring."""

import hashlib
import hmac
import re
import unicodedata

_PSEUDONYM = re.compile(r"[0-9a-f]{64}")


def pseudonym(identity: str, key: str) -> str:
    """Return HMAC-SHA256 of the identity under `key`, as 64 hexadecimal digits.

    Surrounding space and case do not count, so `ra-12 ` and `RA-12` are one person.

    Raises:
        ValueError: the key is empty; an unkeyed hash of a short identity can be reversed by trying.
    """
    if not key:
        raise ValueError("PSEUDONYM_KEY is empty: without a key an identity must not be stored")
    return hmac.new(key.encode(), identity.strip().upper().encode(), hashlib.sha256).hexdigest()


def stored(entity: str | None, key: str, prefix: str | None) -> str | None:
    """Return what is stored of an entity: its pseudonym, or None where there is no key.

    `prefix` is the contract's, by which a number has one spelling. What is a pseudonym already, as
    from a client that sends no identities, is stored as it is.
    """
    if not entity:
        return None
    if _PSEUDONYM.fullmatch(entity):
        return entity
    if not key:
        return None
    return pseudonym(canonical(entity, prefix) if prefix else entity, key)


def spellings(identity: str, prefix: str | None) -> tuple[str, ...]:
    """Return the spellings that a person's rows may be stored under, each once.

    Where no prefix is known it is what stands before the typed number.
    """
    typed = re.match(r"[^\W\d_]*", identity.strip())
    prefix = prefix or (typed[0].upper() if typed else "")
    return tuple(dict.fromkeys((identity, canonical(identity, prefix) if prefix else identity)))


def canonical(identity: str, prefix: str) -> str:
    """Return the one spelling of a numbered identity: `RA 12`, `ra012`, `12` are `RA-12`.

    What is no number after the prefix keeps its own spelling, upper-cased. A pseudonym is made of
    the canonical spelling wherever the prefix is known; `pseudonym` itself does not normalise,
    since that would change pseudonyms that are stored.
    """
    text = unicodedata.normalize("NFKC", identity).strip().upper()
    found = re.fullmatch(
        rf"(?:{re.escape(prefix)})?[\W_]*(?:N[O°.]*[\W_]*)?0*(\d+)(?:[.,]0)?", text
    )
    return f"{prefix}-{found[1]}" if found else text
