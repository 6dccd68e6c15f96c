"""PyTorch: eager, compiled, or CUDA graphs of many steps. Samples stay on the device; nothing is read back in an epoch.

With --precision f16 it is autocast: products in half precision, on matrix units, everything else as autocast has it. The
loss is scaled by a constant, so that a graph need not ask whether a step overflowed: more lenient than torch's GradScaler.
"""

import common

PARSED = common.arguments(__doc__, small=True, mode=["eager", "compile", "graphs"], precision=["f32", "f16"])

import torch  # noqa: E402 -- after the flags, so that --help is quick
from torch import nn  # noqa: E402

# For gradients in half precision; a power of two, so that it rounds nothing.
LOSS_SCALE = 1024.0 if PARSED.precision == "f16" else 1.0

# A graph's launch pays off over some dozens of steps.
MOST_STEPS_IN_GRAPH = 64


class Peer:
    def __init__(self, x, y):
        self.device = torch.device("cuda" if PARSED.device == "gpu" else "cpu")
        self.x = torch.from_numpy(x).to(self.device)
        self.y = torch.from_numpy(y).long().to(self.device)
        layers = []
        for inputs, outputs in common.widths(PARSED.units):
            linear = nn.Linear(inputs, outputs)
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1]).to(self.device)
        options = {
            "lr": common.LEARNING_RATE,
            "eps": common.EPSILON,
            "foreach": True,
            "capturable": PARSED.device == "gpu",
        }
        if PARSED.adam:
            betas = (common.BETA_1, common.BETA_2)
            self.optimizer = torch.optim.Adam(self.model.parameters(), betas=betas, **options)
        else:
            self.optimizer = torch.optim.RMSprop(self.model.parameters(), alpha=common.RHO, **options)
        self.loss_sum = torch.zeros((), device=self.device)
        self.correct = torch.zeros((), device=self.device, dtype=torch.long)
        self.forward, self.update = self._forward, self.optimizer.step
        if PARSED.mode == "compile":
            # On a GPU this mode records CUDA graphs where it can and tries several kernels for each product.
            mode = "max-autotune" if PARSED.device == "gpu" else None
            self.forward = torch.compile(self._forward, mode=mode)
            self.update = torch.compile(self.optimizer.step)
        self.graph = None

    def _forward(self, x, y):
        # Weights are converted anew in each step: a cache would outlive them in a graph.
        enabled = PARSED.precision == "f16"
        with torch.autocast(self.device.type, torch.float16, enabled=enabled, cache_enabled=False):
            logits = self.model(x)
        logits = logits.float()
        if PARSED.units[-1] == 1:
            logits, y = logits[:, 0], y.float()
            return nn.functional.binary_cross_entropy_with_logits(logits, y), ((logits > 0) == (y > 0.5)).sum()
        return nn.functional.cross_entropy(logits, y), (logits.argmax(1) == y).sum()

    def step(self, index):
        # Rows are contiguous: index_select copies whole rows, on all cores.
        x, y = self.x.index_select(0, index), self.y.index_select(0, index)
        loss, correct = self.forward(x, y)
        (loss * LOSS_SCALE).backward()
        if LOSS_SCALE != 1.0:
            torch._foreach_mul_([parameter.grad for parameter in self.model.parameters()], 1.0 / LOSS_SCALE)
        self.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss_sum += loss.detach()
        self.correct += correct

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def first_step(self):
        self.step(torch.arange(PARSED.batch_size, device=self.device))
        self.wait()

    def capture(self):
        """Records as many steps as divide an epoch; which samples they take is read from `self.static`."""
        steps = max(n for n in range(1, MOST_STEPS_IN_GRAPH + 1) if PARSED.steps % n == 0)
        self.static = torch.zeros((steps, PARSED.batch_size), dtype=torch.long, device=self.device)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.step(self.static[0])
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            for row in self.static:
                self.step(row)

    def epoch(self):
        order = torch.randperm(PARSED.samples, device=self.device).view(PARSED.steps, PARSED.batch_size)
        if self.graph is None:
            for index in order:
                self.step(index)
            return
        for chunk in order.split(len(self.static)):
            self.static.copy_(chunk)
            self.graph.replay()

    def epochs(self, count):
        if PARSED.mode == "graphs" and self.graph is None:
            self.capture()
        for _ in range(count):
            self.loss_sum.zero_()
            self.correct.zero_()
            self.epoch()
        loss, correct = self.loss_sum.item(), self.correct.item()
        return loss / PARSED.steps, correct / PARSED.samples

    @torch.inference_mode()
    def evaluate(self):
        loss = torch.zeros((), device=self.device)
        correct = torch.zeros((), device=self.device, dtype=torch.long)
        for x, y in zip(self.x.split(common.EVALUATION_BATCH), self.y.split(common.EVALUATION_BATCH)):
            part, right = self._forward(x, y)
            loss += part * len(y)
            correct += right
        return loss.item() / PARSED.samples, correct.item() / PARSED.samples


def main():
    if PARSED.mode == "graphs" and PARSED.device != "gpu":
        raise SystemExit("CUDA graphs need --device gpu")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    x, y, source = common.load(PARSED.samples, PARSED.units)
    peer = Peer(x, y)
    device = torch.cuda.get_device_name() if PARSED.device == "gpu" else f"CPU, {torch.get_num_threads()} threads"
    name = f"pytorch {PARSED.mode}" + (", autocast f16" if PARSED.precision == "f16" else "")
    common.measure(peer, name, torch.__version__, device, source, PARSED)


main()
