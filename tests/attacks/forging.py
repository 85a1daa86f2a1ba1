"""What a forger can do: certificates with right checksums and any claim, potentials and plan."""

import hashlib
import json

import numpy as np

from banach.transport.certificate import ARRAYS, sha256


def forge(path, x, y, f, g, plan, lower, upper, space="Lp(p=2)", power=1.0, weights=(None, None)):
    """Write a certificate for samples x, y; `plan` is a list of moves (i, j, mass)."""
    i, j, mass = (np.array(column) for column in zip(*plan, strict=True)) if len(plan) else np.empty((3, 0))
    arrays = dict(
        zip(ARRAYS, (np.asarray(f, float), np.asarray(g, float), i.astype("<i8"), j.astype("<i8"), mass), strict=True)
    )
    arrays["mass"] = arrays["mass"].astype("<f8")
    given = {"A": x, "B": y, "weights_a": weights[0], "weights_b": weights[1]}
    claim = {
        "format": 1, "target": "empirical", "space": space, "power": power, "lower": lower, "upper": upper,
        "method": "simplex",
        "sha256": {name: None if one is None else sha256(one) for name, one in given.items()}
        | {"space": hashlib.sha256(space.encode()).hexdigest()} | {name: sha256(one) for name, one in arrays.items()},
    }  # fmt: skip
    text = json.dumps(claim).encode()
    seal = hashlib.sha256(text).digest()
    with path.open("wb") as file:
        np.savez(
            file, claim=np.frombuffer(text, np.uint8), seal=np.frombuffer(seal, np.uint8), allow_pickle=False, **arrays
        )
