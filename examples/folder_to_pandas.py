"""Count the emotions in a folder of photos: python folder_to_pandas.py photos/"""

import sys
from pathlib import Path

import pandas as pd

import fastfer

if len(sys.argv) != 2:
    sys.exit(__doc__)
engine = fastfer.Engine(min_quality=0.3)
tables = []
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        tables.append(engine.analyze(path).to_pandas().assign(file=path.name))
    except fastfer.InputError as error:
        print(f"{path.name}: {error.code}", file=sys.stderr)

faces = pd.concat(tables)
print(faces.groupby("emotion", dropna=False).agg(faces=("score", "size"), score=("score", "mean")))
