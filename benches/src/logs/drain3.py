"""Reads one JSON list of lines per system; answers each with drain3's cluster ids and its seconds per line."""

import json
import logging
import sys
import time

from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig

logging.disable(logging.CRITICAL)
for text in sys.stdin:
    lines = json.loads(text)
    miner = TemplateMiner(config=TemplateMinerConfig())
    begin = time.perf_counter()
    ids = [miner.add_log_message(line)["cluster_id"] for line in lines]
    seconds = (time.perf_counter() - begin) / len(lines)
    print(json.dumps({"ids": ids, "seconds": seconds}), flush=True)
