"""Training options by what they have in common; the options themselves are in `options.py`."""

# Options that are of no effect without stages that carry attention.
ATTENTION_OPTIONS = frozenset(
    {
        "classifier",
        "attention",
        "confidence",
        "hidden",
        "attention_loss",
        "attention_loss_weight",
        "weigh",
        "history",
        "burn_in",
    }
)
# Options that a resumed training may change: where and how it is computed and kept, and when it
# ends early. It may also have more epochs.
CHANGEABLE = frozenset(
    {
        "patience",
        "calibrate",
        "skip_bad_steps",
        "device",
        "precision",
        "compile",
        "workers",
        "save_every",
        "keep",
        "tensorboard",
    }
)
