"""Golden files: safetensors and manifest.json, written so that the same numbers always give the same bytes.

The safetensors library keeps metadata in a hash map, so two runs of it can order the header differently. The format is
a length, a JSON header and the data; written here with sorted keys, and read back by the library itself as a check.
"""
from __future__ import annotations
import hashlib
import json
import struct
from pathlib import Path
import torch
from safetensors.torch import load as load_safetensors

KINDS = {torch.float64: "F64", torch.int64: "I64"}
FOLDER = Path(__file__).resolve().parent.parent / "Hope"

# A tensor passes when rms(actual - expected) <= relative * rms(expected) + absolute. `gradients` is for gradient.* of the
# model files, `outputs` for everything else. The floor is for tensors that are differences of larger ones.
TOLERANCE = {
    "Double": {"outputs": {"relative": 1e-9, "absolute": 1e-12}, "gradients": {"relative": 1e-9, "absolute": 1e-12}},
    "Float": {"outputs": {"relative": 5e-6, "absolute": 1e-7}, "gradients": {"relative": 5e-5, "absolute": 1e-7}},
}


def rms(x):
    return x.double().square().mean().sqrt().item() if x.numel() else 0.0


def share_of_tolerance(name, expected, actual, precision="Double"):
    """Error over what is tolerated for this tensor: at most 1 passes."""
    limit = TOLERANCE[precision]["gradients" if name.startswith("gradient.") else "outputs"]
    return rms(actual - expected) / (limit["relative"] * rms(expected) + limit["absolute"])


def sha256(data):
    return hashlib.sha256(data if isinstance(data, bytes) else Path(data).read_bytes()).hexdigest()


def encode(tensors, metadata):
    """The bytes of a safetensors file. tensors: name -> float64 or int64 tensor; metadata: name -> string."""
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        blob = tensor.numpy().tobytes()
        header[name] = {"dtype": KINDS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)                                     # the data starts at a multiple of 8, as the library writes it
    data = struct.pack("<Q", len(text)) + text + b"".join(blobs)
    for name, back in load_safetensors(data).items():
        assert torch.equal(back, tensors[name]), f"{name}: the safetensors library reads other numbers than were written"
    return data


def differences(expected, actual, exact=("tokens", "targets", "prefix_tokens", "parameter.")):
    """What two files disagree on, as lines; nothing where they agree to Double's tolerance, `exact` names to the bit."""
    one, two = load_safetensors(expected), load_safetensors(actual)
    lines = [f"{name}: only in one of the files" for name in sorted(one.keys() ^ two.keys())]
    for name in sorted(one.keys() & two.keys()):
        a, b = one[name], two[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            lines.append(f"{name}: {a.dtype} {tuple(a.shape)} against {b.dtype} {tuple(b.shape)}")
        elif name.startswith(exact):
            if not torch.equal(a, b):
                lines.append(f"{name}: inputs differ")
        elif not share_of_tolerance(name, a, b) <= 1:
            lines.append(f"{name}: rms of the difference {rms(a - b):.3g}, of the tensor {rms(a):.3g}")
    return lines


def write_all(files, entries):
    """files: name -> bytes; entries: name -> what the manifest says about it. Removes golden files of cases that are gone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.safetensors"):
        if old.name not in files:
            old.unlink()
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)
        entries[name] |= {"bytes": len(data), "sha256": sha256(data)}
    manifest = {"tolerance": TOLERANCE, "torch": torch.__version__, "files": entries}
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
