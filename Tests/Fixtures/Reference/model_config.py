"""The reference's model of a config.json: what trains with it and what measures it read the file in the same way."""
from hope import Config

ONLY = {"model_type": "hope", "mixer": "self_modifying_titans", "cms_wiring": "sequential", "tie_word_embeddings": True}


def config_of(settings):
    """hope.Config of what a config.json says. ValueError, naming the key, where the reference has no such model."""
    for key, only in ONLY.items():
        if settings.get(key, only) != only:
            raise ValueError(f"{key} is {settings[key]!r}; the reference has {only!r} only")
    levels, width, off = settings["cms_levels"], settings["hidden_size"], settings.get("ablations", [])
    gated = {level.get("gated", False) for level in levels}
    if len(gated) > 1:
        raise ValueError("some cms_levels are gated and some are not; the reference has links of one kind only")
    return Config(
        vocabulary=settings["vocab_size"], width=width, layers=settings["num_hidden_layers"],
        heads=settings["num_attention_heads"], memory_multiple=settings["memory_hidden_multiple"],
        chunk=settings["chunk_size"], projection_chunk=settings["projection_chunk_size"],
        conv_window=settings["conv_window"], step_size_max=settings["step_size_max"], radius=settings["memory_radius"],
        cms_hidden_multiples=tuple(level["intermediate_size"] / width if "intermediate_size" in level
                                   else level["hidden_multiple"] for level in levels),
        cms_gated=gated == {True}, delta="delta" not in off, retain="retain" not in off,
        adaptive=tuple(n for n in ("key", "value", "step_size", "retention") if n not in off))
