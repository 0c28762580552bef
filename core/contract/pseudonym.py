"""A person's identity as a keyed pseudonym: the same in training, serving and monitoring."""

import hashlib
import hmac
import re
import unicodedata

_PSEUDONYM = re.compile(r"[0-9a-f]{64}")


def pseudonym(identity: str, key: str) -> str:
    """Return HMAC-SHA256 of the identity under `key`, as 64 hexadecimal digits.

    Surrounding space and case are ignored, so `ra-12 ` and `RA-12` are one person.

    Raises:
        ValueError: the key is empty; an unkeyed hash of a short identity is open to brute force.
    """
    if not key:
        raise ValueError("PSEUDONYM_KEY is empty: without a key an identity must not be stored")
    return hmac.new(key.encode(), identity.strip().upper().encode(), hashlib.sha256).hexdigest()


def stored(entity: str | None, key: str, prefix: str | None) -> str | None:
    """Return the stored form of an entity: its pseudonym, or None where there is no key.

    `prefix` is the contract's `entity_prefix`, by which numbered entities are normalised. A value
    that is a pseudonym already, from a client that sends no identities, is stored unchanged.
    """
    if not entity:
        return None
    if _PSEUDONYM.fullmatch(entity):
        return entity
    if not key:
        return None
    return pseudonym(canonical(entity, prefix) if prefix else entity, key)


def spellings(identity: str, prefix: str | None) -> tuple[str, ...]:
    """Return the distinct spellings under which a person's rows may be stored.

    Where no prefix is known, the letters before the typed number are the prefix.
    """
    typed = re.match(r"[^\W\d_]*", identity.strip())
    prefix = prefix or (typed[0].upper() if typed else "")
    return tuple(dict.fromkeys((identity, canonical(identity, prefix) if prefix else identity)))


def canonical(identity: str, prefix: str) -> str:
    """Return the canonical spelling of a numbered identity: `RA 12`, `ra012`, `12` are `RA-12`.

    An identity without a number after the prefix keeps its own spelling, upper-cased. A pseudonym
    is computed from the canonical spelling wherever the prefix is known; `pseudonym` itself does
    not normalise, since that would change stored pseudonyms.
    """
    text = unicodedata.normalize("NFKC", identity).strip().upper()
    found = re.fullmatch(
        rf"(?:{re.escape(prefix)})?[\W_]*(?:N[O°.]*[\W_]*)?0*(\d+)(?:[.,]0)?", text
    )
    return f"{prefix}-{found[1]}" if found else text
