"""Pictures read from an S3 server on this machine, against fsspec's own concurrent reads.

python -m benchmarks.storage_read [--files 200] [--kilobytes 2000]

Reads the same files in turn with `fs.cat`, which asks for all at once, and as vaa predict does, in
order and in bounded memory. Prints megabytes a second of both, and their ratio. Needs the extra s3,
moto and flask.
"""

import argparse
import os
import random
import statistics
import time

from tests.helpers.s3_server import ENVIRONMENT, s3_server
from vaa_cli.core.images.read_ahead import requests_ahead
from vaa_cli.core.images.url_inputs import url_picture
from vaa_cli.core.system.storage_listing import list_url


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--kilobytes", type=int, default=2000)
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    with s3_server() as address:
        os.environ.update(ENVIRONMENT, AWS_ENDPOINT_URL=address)
        import fsspec

        fs = fsspec.filesystem("s3")
        fs.mkdir("bucket")
        content = random.Random(0).randbytes(1000 * asked.kilobytes)
        fs.pipe({f"bucket/in/{number:05d}.jpg": content for number in range(asked.files)})
        files = list(list_url("s3://bucket/in/"))
        megabytes = asked.files * asked.kilobytes / 1000
        ratios = []
        for _ in range(asked.times):
            start = time.perf_counter()
            found = fs.cat([file.url for file in files])
            bare = megabytes / (time.perf_counter() - start)
            assert all(len(one) == len(content) for one in found.values())
            del found
            start = time.perf_counter()
            for request in requests_ahead(url_picture(file.url, file.size) for file in files):
                assert request.content is not None and len(request.content) == len(content)
            ahead = megabytes / (time.perf_counter() - start)
            ratios.append(ahead / bare)
            print(f"fsspec {bare:.0f} MB/s, vaa {ahead:.0f} MB/s, ratio {ratios[-1]:.2f}")
        print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
