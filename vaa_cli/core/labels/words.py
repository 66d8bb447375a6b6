"""Words that people write into a table of labels, in lower case."""

YES = frozenset(
    {
        "1", "1.0", "1,0", "true", "t", "yes", "y", "x", "✓", "✔", "☑", "ja", "j", "wahr",
        "oui", "o", "vrai", "si", "sí", "s", "sì", "verdadero", "vero", "sim", "да", "是",
    }
)  # fmt: skip
NO = frozenset(
    {
        "0", "0.0", "0,0", "false", "f", "no", "n", "✗", "✘", "☐", "nein", "falsch", "non", "faux",
        "falso", "não", "nao", "нет", "否",
    }
)  # fmt: skip
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
# Of an exclusive group of attributes, that none is present.
NONE_OF_GROUP = "(none)"
