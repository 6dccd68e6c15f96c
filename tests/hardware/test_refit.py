"""scripts/refit on data whose best table is known, and on what a sweep of a software driver left."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import lzma
import pathlib
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def load():
    loader = importlib.machinery.SourceFileLoader("refit", str(ROOT / "scripts" / "refit"))
    spec = importlib.util.spec_from_loader("refit", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


refit = load()

LARGE, SMALL, SPLIT = "large", "small", "split"


def line(shape, name, workgroups, seconds, default=SMALL, **changes):
    rows, depth, columns = shape
    return {
        "kind": "tiling",
        "card": "A card",
        "driver": "1.0",
        "operation": "dense_forward",
        "shape": list(shape),
        "size": {"rows": rows // 4, "columns": columns // 4, "depth": depth // 4},
        "precision": "f32",
        "tiling": {"direct": {"rows": 1, "columns": 1, "workgroup": 64}},
        "name": name,
        "robust": True,
        "order": "rows",
        "default": name == default,
        "workgroups": workgroups,
        "flops": 2 * rows * depth * columns,
        "error": None,
        "passes": [{"seconds": 2 * seconds}, {"seconds": seconds}],
        **changes,
    }


def sweep():
    """A device on which the large tiling is best from 128 of its workgroups on, and a split sum where there are few and
    the sum is long."""
    for rows in [32, 128, 512, 2048, 8192]:
        for depth in [32, 256, 1024]:
            for columns in [64, 512, 2048]:
                shape = (rows, depth, columns)
                tiles = {LARGE: 128, SMALL: 32, SPLIT: 8}
                count = {name: -(-rows // edge) * -(-columns // edge) for name, edge in tiles.items()}
                best = LARGE if count[LARGE] >= 128 else SPLIT if depth >= 256 and count[SMALL] < 64 else SMALL
                for name in tiles:
                    yield line(shape, name, count[name], 1e-5 * (1 if name == best else 1.5))


def written(lines, folder, name="sweep.jsonl"):
    path = pathlib.Path(folder) / name
    opened = lzma.open if name.endswith(".xz") else open
    with opened(path, "wt") as file:
        file.writelines(json.dumps(one) + "\n" for one in lines)
    return path


class Refit(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def measured(self, lines, name="sweep.jsonl"):
        return refit.products([written(lines, self.folder.name, name)])[0]

    def test_a_known_table_is_found_again(self):
        measured = self.measured(sweep())
        rules, fallback = refit.fit(measured)
        for product in measured:
            self.assertEqual(refit.served(rules, fallback, product), product.best, product.key)
        self.assertLessEqual(len(rules), 3, rules)

    def test_what_a_choice_loses_is_its_time_by_the_best(self):
        product = self.measured([line((32, 32, 64), LARGE, 1, 3e-5), line((32, 32, 64), SMALL, 2, 2e-5)])[0]
        self.assertEqual(product.best, SMALL)
        self.assertEqual(product.default, SMALL)
        self.assertAlmostEqual(refit.math.exp(product.loss(LARGE)), 1.5)
        self.assertEqual(product.loss(SMALL), 0.0)
        self.assertIsNone(product.loss(SPLIT))

    def test_a_wrong_or_foreign_line_counts_for_nothing(self):
        shape = (32, 32, 64)
        lines = [
            line(shape, SMALL, 2, 2e-5),
            line(shape, LARGE, 1, 1e-6, error="number 3 is NaN, the default has 1"),
            line(shape, SPLIT, 9, 1e-6, robust=False),
            line(shape, SPLIT, 9, 1e-6, order="columns"),
            {"kind": "swept", "done": 1},
        ]
        self.assertEqual(list(self.measured(lines)[0].seconds), [SMALL])

    def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(self):
        path = written([line((32, 32, 64), SMALL, 2, 2e-5)], self.folder.name)
        with open(path, "a") as file:
            file.write('{"kind": "til')
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(len(refit.products([path])[0]), 1)
        self.assertIn("1 lines are no JSON", said.getvalue())

    def test_the_least_of_several_files_counts(self):
        shape = (32, 32, 64)
        paths = [
            written([line(shape, SMALL, 2, seconds)], self.folder.name, f"{seconds}.jsonl.xz")
            for seconds in (2e-5, 1e-5)
        ]
        product = refit.products(paths)[0][0]
        self.assertEqual(product.seconds[SMALL], 1e-5)

    @unittest.skipUnless((HERE / "lavapipe.jsonl.xz").exists(), "no sweep of a software driver is recorded yet")
    def test_a_software_drivers_sweep(self):
        """What `scripts/hardware first --rehearse` left on Mesa's software driver."""
        measured, tilings, cards = refit.products([HERE / "lavapipe.jsonl.xz"])
        self.assertTrue(any("llvmpipe" in card for card, _ in cards), cards)
        for precision in ["f32", "f16"]:
            own = [product for product in measured if product.key[2] == precision]
            self.assertGreaterEqual(len(own), 12)
            rules, fallback = refit.fit(own)
            fitted = refit.mean_loss(lambda product: refit.served(rules, fallback, product), own)
            single = refit.mean_loss(lambda product: fallback, own)
            self.assertGreaterEqual(fitted, 0.0)
            self.assertLessEqual(fitted, single)
            for name in [fallback, *(rule[0] for rule in rules)]:
                self.assertIn("Tiling::", refit.rust(tilings[name]))


if __name__ == "__main__":
    unittest.main()
