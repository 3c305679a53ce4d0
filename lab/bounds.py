"""What CHECKs say of one column, as the server words them: bounds, lists of values, lengths."""

import math
import re
from dataclasses import dataclass
from math import ceil, floor

LARGEST = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**63 - 1}
_CAST = re.compile(r"::(?:character varying|double precision|\"[^\"]+\"|[\w.]+)(?:\(\d+(?:,\d+)?\))?(?:\[\])?")
_CONSTANT = r"'?(-?\d+(?:\.\d+)?)'?"
_TEXT = r"'((?:[^']|'')*)'"


@dataclass
class Rules:
    """What CHECKs say of one column."""

    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    shortest: int = 0
    longest: int | None = None

    def read(self, text: str, name: str) -> bool:
        """Take in *text*, a CHECK about the column *name* alone; whether it was understood whole.

        >>> rules = Rules()
        >>> rules.read("((price > (0)::numeric) AND (price <= (99.5)::numeric))", "price"), rules.least, rules.most
        (True, 0.01, 99.5)
        >>> rules.read("((kind)::text = ANY ((ARRAY['a'::character varying, 'b'::text])::text[]))", "kind")
        True
        >>> rules.choices, rules.read("(a < b)", "a")
        (('a', 'b'), False)
        """
        said = _CAST.sub("", text)
        own = re.escape(name) if re.fullmatch(r"[a-z_][a-z0-9_$]*|VALUE", name) else re.escape(f'"{name}"')
        either = [re.fullmatch(rf"\(*{own}\)* = {_TEXT}\)*", one) for one in said.strip("()").split(" OR ")]
        if len(either) > 1 and all(either):
            self.choices = tuple(one[1].replace("''", "'") for one in either if one)
            return True
        parts = [re.sub(r"(?<!\w)\(([\w.'\" -]+)\)", r"\1", one.strip()) for one in said.split(" AND ")]
        return " OR " not in said and all(self._part(one, own) for one in parts)

    def range(self, type_: str, precision: int | None, scale: int) -> tuple[float, float]:
        """The least and the largest value: of the CHECKs, else from 1 up to a thousand, as far as the type goes.

        >>> Rules(least=0.01).range("numeric", 8, 2), Rules(most=5).range("int4", None, 0)
        ((0.01, 1000), (-995, 5))
        """
        most: float = LARGEST.get(type_, 10**15)
        if precision is not None:
            most = 10 ** (precision - scale) - 1
        low = self.least if self.least is not None else (1 if self.most is None else min(1, self.most - 1000))
        high = self.most if self.most is not None else 1000 + (floor(low) if low > 1 else 0)
        if type_ in LARGEST or precision is not None:
            unit = 10**scale
            low, high = ceil(low * unit) / unit, floor(high * unit) / unit
        return _plain(max(low, -most)), _plain(min(high, most))

    def _part(self, part: str, own: str) -> bool:
        while part.startswith("(") or (part.endswith(")") and part.count(")") > part.count("(")):
            part = part[1:] if part.startswith("(") else part[:-1]
        part = part.rstrip(")") if part.count(")") > part.count("(") else part
        if re.fullmatch(rf"{own} IS NOT NULL", part):
            return True
        if found := re.fullmatch(rf"{own} (>=|>|<=|<) {_CONSTANT}", part):
            self._bound(found[1], float(found[2]))
            return True
        if found := re.fullmatch(rf"(?:char_length|length|character_length)\({own}\) (>=|>|<=|<|=) {_CONSTANT}", part):
            self._length(found[1], int(float(found[2])))
            return True
        if found := re.fullmatch(rf"{own} = ANY \(?\(?ARRAY\[(.*)\]\)?\)?", part):
            self.choices = _listed(found[1])
            return bool(self.choices)
        if found := re.fullmatch(rf"{own} (?:<>|!=) ''", part):
            self.shortest = max(self.shortest, 1)
            return True
        return False

    def _bound(self, sign: str, value: float) -> None:
        step = 0.01 if sign in "<>" else 0.0
        if sign.startswith(">"):
            self.least = max(value + step, self.least if self.least is not None else -math.inf)
        else:
            self.most = min(value - step, self.most if self.most is not None else math.inf)

    def _length(self, sign: str, value: int) -> None:
        if sign in (">", ">=", "="):
            self.shortest = max(self.shortest, value + (sign == ">"))
        if sign in ("<", "<=", "="):
            self.longest = min(value - (sign == "<"), self.longest if self.longest is not None else value)


def _listed(text: str) -> tuple[str, ...]:
    """The constants of an ARRAY[...].

    >>> _listed("'a', 'it''s'"), _listed("1, 2")
    (('a', "it's"), ('1', '2'))
    """
    if quoted := re.findall(_TEXT, text):
        return tuple(one.replace("''", "'") for one in quoted)
    return tuple(re.findall(r"-?\d+(?:\.\d+)?", text))


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number
