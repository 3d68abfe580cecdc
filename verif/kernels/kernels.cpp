// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "kernels/kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "golden/variant_config.h"
#include "kernels/lane_cases.h"
#include "vaultrain/error.h"
#include "vaultrain/lane_library.h"
#include "vaultrain/mapper.h"
#include "vaultrain/networks.h"
#include "vaultrain/tensors.h"
#include "vaultrain/trainer.h"

namespace vaultrain::kernels {
namespace {

using isa::Descriptor;
using isa::ErrorCode;
using isa::FieldId;
using isa::Opcode;

// Longest program of a kernel; the watchdog comes long before.
constexpr uint64_t kMaxCycles = 20'000'000;

int64_t Draw(Random& random, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random.Below(static_cast<uint64_t>(high - low + 1)));
}

// What a kernel of programs gives for one round.
using Build = std::function<void(Builder& builder, Random& random)>;

// Several programs with shapes and values of their own, each on fresh devices.
KernelResult RunBuilt(const KernelSetup& setup, const std::string& name, int programs,
                      const Build& build) {
  KernelResult result;
  for (int round = 0; round < programs * setup.rounds; ++round) {
    Random random(setup.seed, fmt::format("{}/{}", name, round));
    Builder builder(setup.variant, setup.dram, random);
    build(builder, random);
    if (!RunProgram(setup, builder.Finish(fmt::format("program {}", round)), result)) break;
  }
  return result;
}

// ---- products

enum class Values { kNormal, kAnyBits };

void FillWith(Builder& builder, int tensor, Values values) {
  values == Values::kNormal ? builder.FillNormal(tensor) : builder.FillBits(tensor);
}

// The shape of a product that fits; shrinks until it does.
struct Shape {
  int64_t m, n, k;
};

Shape DrawShape(const Builder& b, Random& random) {
  Shape s{Draw(random, 1, std::min<int64_t>(b.max_m(), 40)), Draw(random, 1, 37),
          Draw(random, 1, 6 * b.word_elements())};
  auto room = [&] {
    const int64_t k_bytes = (s.k / b.word_elements() + 2) * 2 * b.word();
    return (s.m + s.n + 16) * k_bytes + s.m * (s.n + 64) * 8;
  };
  while (room() > b.GemmRoom() && s.m + s.n + s.k > 3) {
    // Depth gives way last.
    if (s.m + s.n == 2) s.k = (s.k + 1) / 2;
    s.m = (s.m + 1) / 2;
    s.n = (s.n + 1) / 2;
  }
  return s;
}

// y = relu(x w^T + b)
Gemm FeedForward(Builder& b, Random& random, const Shape& s, Values values,
                 const std::string& suffix = "") {
  Gemm g;
  g.m = s.m;
  g.n = s.n;
  g.k = s.k;
  g.a = b.AddTensor("X" + suffix, b.Operand(), s.m, s.k, Draw(random, 0, 3));
  g.b = b.AddTensor("W" + suffix, ElementFormat::kFp32, s.n, s.k, Draw(random, 0, 3));
  g.bias = b.AddTensor("b" + suffix, ElementFormat::kFp32, 1, s.n);
  const bool wide = random.Below(4) == 0;
  g.out = b.AddTensor("Y" + suffix, wide ? ElementFormat::kFp32 : b.Operand(), s.m, s.n,
                      Draw(random, 0, 3));
  g.relu = random.Below(2) == 1;
  FillWith(b, g.a, values);
  FillWith(b, g.b, values);
  FillWith(b, g.bias, values);
  return g;
}

// dx = dz w, 0 where x is not positive
Gemm BackPropagation(Builder& b, Random& random, const Shape& s, Values values) {
  Gemm g;
  g.m = s.m;
  g.n = s.n;
  g.k = s.k;
  g.b_transposed = true;
  g.a = b.AddTensor("dZ", b.Operand(), s.m, s.k, Draw(random, 0, 3));
  g.b = b.AddTensor("W", ElementFormat::kFp32, s.k, s.n, Draw(random, 0, 3));
  g.mask = b.AddTensor("X", b.Operand(), s.m, s.n, Draw(random, 0, 3));
  g.out = b.AddTensor("dX", b.Operand(), s.m, s.n, Draw(random, 0, 3));
  FillWith(b, g.a, values);
  FillWith(b, g.b, values);
  FillWith(b, g.mask, values);
  return g;
}

// w += scalar * dz^T x
Gemm Update(Builder& b, Random& random, const Shape& s, Values values,
            const std::string& suffix = "") {
  Gemm g;
  g.m = s.m;
  g.n = s.n;
  g.k = s.k;
  g.a_transposed = g.b_transposed = true;
  g.in_place = true;
  g.scalar = static_cast<int>(random.Below(isa::kScalars));
  g.a = b.AddTensor("dZ" + suffix, b.Operand(), s.k, s.m, Draw(random, 0, 3));
  g.b = b.AddTensor("X" + suffix, b.Operand(), s.k, s.n, Draw(random, 0, 3));
  g.out = b.AddTensor("W" + suffix, ElementFormat::kFp32, s.m, s.n, Draw(random, 0, 3));
  FillWith(b, g.a, values);
  FillWith(b, g.b, values);
  FillWith(b, g.out, values);
  b.SetScalar(g.scalar, -0.01f);
  return g;
}

void GemmFf(Builder& b, Random& random) {
  b.Multiply(FeedForward(b, random, DrawShape(b, random), Values::kNormal));
}
void GemmBp(Builder& b, Random& random) {
  b.Multiply(BackPropagation(b, random, DrawShape(b, random), Values::kNormal));
}
void GemmUp(Builder& b, Random& random) {
  b.Multiply(Update(b, random, DrawShape(b, random), Values::kNormal));
}

void GemmAnyBits(Builder& b, Random& random) {
  const Shape s = DrawShape(b, random);
  switch (random.Below(3)) {
    case 0:
      return b.Multiply(FeedForward(b, random, s, Values::kAnyBits));
    case 1:
      return b.Multiply(BackPropagation(b, random, s, Values::kAnyBits));
    default:
      return b.Multiply(Update(b, random, s, Values::kAnyBits));
  }
}

void KSplit(Builder& b, Random& random) {
  Shape s = DrawShape(b, random);
  s.k = Draw(random, b.word_elements() + 1, 5 * b.word_elements());
  s.m = std::min<int64_t>(s.m, 16);
  s.n = std::min<int64_t>(s.n, 20);
  Gemm g = FeedForward(b, random, s, Values::kNormal);
  const int64_t words = (s.k + b.word_elements() - 1) / b.word_elements();
  g.k_split = Draw(random, 1, words - 1);
  b.Multiply(g);
}

void Reverse(Builder& b, Random& random) {
  Gemm g = FeedForward(b, random, DrawShape(b, random), Values::kNormal);
  g.reverse = static_cast<unsigned>(Draw(random, 1, 7));
  if (random.Below(3) == 0) g.k_split = 1;
  b.Multiply(g);
}

// A layer with ReLU, then a gradient masked by its results.
void Activation(Builder& b, Random& random) {
  const Shape s = DrawShape(b, random);
  Gemm forward = FeedForward(b, random, s, Values::kNormal);
  forward.out = b.AddTensor("R", b.Operand(), s.m, s.n);
  forward.relu = true;
  Gemm back;
  back.m = s.m;
  back.n = s.n;
  back.k = s.k;
  back.a = b.AddTensor("dZ", b.Operand(), s.m, s.k);
  back.b = b.AddTensor("V", b.Operand(), s.n, s.k);
  back.mask = forward.out;
  back.out = b.AddTensor("dR", b.Operand(), s.m, s.n);
  b.FillNormal(back.a);
  b.FillNormal(back.b);
  b.Multiply(forward);
  b.Multiply(back);
}

// The same weights, updated again and again.
void Optimiser(Builder& b, Random& random) {
  Shape s = DrawShape(b, random);
  s.k = Draw(random, 1, b.word_elements());
  Gemm g = Update(b, random, s, Values::kNormal);
  for (int step = 0; step < 4; ++step) {
    g.scalar = step;
    b.SetScalar(step, step == 3 ? std::numeric_limits<float>::denorm_min()
                                : static_cast<float>(random.Normal()));
    b.Multiply(g);
  }
}

// Gradients in fp32, most of them below the last bit of an operand; now and then any bits.
void FillGradients(Builder& b, Random& random, int tensor) {
  const bool any_bits = random.Below(4) == 0;
  b.Fill(tensor, [&](int64_t, int64_t) {
    if (any_bits) return static_cast<uint32_t>(random.Next());
    const double value = random.Normal();
    const auto below = static_cast<int>(random.Below(20));
    return std::bit_cast<uint32_t>(static_cast<float>(std::ldexp(value, -below)));
  });
}

// out = a b^T, one of them a gradient of fx32, loaded plain or transposed; the other either way.
// The result is fp32: added to what is there, masked, or neither.
void MultiplyHalves(Builder& b, Random& random, bool streamed, bool transposed) {
  const std::string suffix = transposed ? "_turned" : "";
  const Shape s = DrawShape(b, random);
  Gemm g;
  g.m = s.m;
  g.n = s.n;
  g.k = s.k;
  g.a_halves = streamed;
  g.b_halves = !streamed;
  auto add = [&](const char* name, bool halves, bool turned, int64_t rows) {
    const int tensor = b.AddTensor(name + suffix, halves ? ElementFormat::kFp32 : b.Operand(),
                                   turned ? s.k : rows, turned ? rows : s.k, Draw(random, 0, 3));
    halves ? FillGradients(b, random, tensor) : b.FillNormal(tensor);
    return tensor;
  };
  g.a_transposed = streamed ? transposed : random.Below(2) == 1;
  g.b_transposed = streamed ? random.Below(2) == 1 : transposed;
  g.a = add(streamed ? "dZ" : "X", g.a_halves, g.a_transposed, s.m);
  g.b = add(streamed ? "W" : "dZ", g.b_halves, g.b_transposed, s.n);
  g.out = b.AddTensor("out" + suffix, ElementFormat::kFp32, s.m, s.n, Draw(random, 0, 3));
  const uint64_t kind = random.Below(3);
  if (kind == 0) {
    g.in_place = true;
    b.FillNormal(g.out);
  } else if (kind == 1) {
    g.mask = b.AddTensor("mask" + suffix, b.Operand(), s.m, s.n, Draw(random, 0, 3));
    b.FillNormal(g.mask);
  }
  const int64_t words = (s.k + b.word_elements() - 1) / b.word_elements();
  if (words > 1 && random.Below(2) == 0) g.k_split = Draw(random, 1, words - 1);
  g.reverse = static_cast<unsigned>(random.Below(8));
  b.Multiply(g);
}

void HalvesStreamed(Builder& b, Random& random) {
  for (const bool transposed : {false, true}) MultiplyHalves(b, random, true, transposed);
}
void HalvesStationary(Builder& b, Random& random) {
  for (const bool transposed : {false, true}) MultiplyHalves(b, random, false, transposed);
}

// ---- softmax

void Loss(Builder& b, Random& random, int64_t most, bool extreme) {
  const int64_t classes = Draw(random, 1, most);
  int64_t rows = Draw(random, 1, 24);
  while (rows > 1 && rows * (classes + 64) * 8 > b.spad_bytes() / 2) rows /= 2;
  const int logits = b.AddTensor("logits", ElementFormat::kFp32, rows, classes, Draw(random, 0, 2));
  const int labels = b.AddTensor("labels", ElementFormat::kU16, 1, rows);
  const int gradient = b.AddTensor("dZ", b.Gradient(), rows, classes, Draw(random, 0, 2));
  const int loss = b.AddTensor("loss", ElementFormat::kFp32, 1, rows);
  b.Fill(logits, [&](int64_t, int64_t) -> uint32_t {
    if (!extreme) return std::bit_cast<uint32_t>(static_cast<float>(4 * random.Normal()));
    static constexpr uint32_t kSpecial[] = {0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001,
                                            0x7F7FFFFF, 0xFF7FFFFF, 0x00000001, 0x80000000,
                                            0x00000000, 0x42B17218, 0xC2CFF1B5, 0x3F800000};
    switch (random.Below(8)) {
      case 0:
        return kSpecial[random.Below(std::size(kSpecial))];
      case 1:
        return static_cast<uint32_t>(random.Next());
      default:
        return std::bit_cast<uint32_t>(static_cast<float>(60 * random.Normal()));
    }
  });
  b.Fill(labels, [&](int64_t, int64_t) {
    return static_cast<uint32_t>(random.Below(static_cast<uint64_t>(classes)));
  });
  b.SetScalar(1, extreme ? static_cast<float>(random.Normal()) : 1.0f);
  b.Softmax(logits, labels, gradient, loss, rows, classes, 1);
}

// ---- moves

// Loads of one tensor and stores of what they brought into another.
void DmaPlain(Builder& b, Random& random) {
  for (int i = 0; i < 4; ++i) {
    const int64_t rows = Draw(random, 1, 12);
    const int64_t cols = Draw(random, 1, 200);
    const int from =
        b.AddTensor(fmt::format("from{}", i), b.Operand(), rows, cols, Draw(random, 0, 9));
    const int to = b.AddTensor(fmt::format("to{}", i), b.Operand(), rows, cols, Draw(random, 0, 9));
    b.FillBits(from);
    Tile tile;
    tile.tensor = from;
    tile.rows = rows;
    tile.pad_rows = random.Below(2) ? Draw(random, 0, 5) : 0;
    tile.accesses = b.RowBytes(from) / isa::kAccessBytes;
    tile.spad_pitch = b.RowBytes(from);
    tile.spad = b.Room(static_cast<uint64_t>((rows + tile.pad_rows) * tile.spad_pitch));
    b.Load(tile);
    b.StoreWhole(to, tile.spad);
    if (tile.pad_rows == 0) continue;
    const int zeros = b.AddTensor(fmt::format("zeros{}", i), b.Operand(), tile.pad_rows, cols);
    b.FillBits(zeros);
    b.StoreWhole(zeros, tile.spad + static_cast<uint32_t>(rows * tile.spad_pitch));
  }
}

void DmaConvert(Builder& b, Random& random, bool halves) {
  for (int i = 0; i < 3; ++i) {
    const int64_t rows = Draw(random, 1, 9);
    const int64_t cols = Draw(random, 1, 150);
    const int from =
        b.AddTensor(fmt::format("from{}", i), ElementFormat::kFp32, rows, cols, Draw(random, 0, 5));
    halves ? FillGradients(b, random, from) : b.FillBits(from);
    const uint32_t spad = b.LoadWhole(from, true, halves ? 1 + i % 2 : 0);
    // Rows lie half as wide; the tensor's rows may be wider still, so they are stored as one row.
    const int64_t bytes = rows * b.RowBytes(from) / 2;
    const int to = b.AddTensor(fmt::format("to{}", i), b.Operand(), 1, bytes / 2);
    Tile tile;
    tile.tensor = to;
    tile.accesses = bytes / isa::kAccessBytes;
    tile.spad = spad;
    tile.spad_pitch = b.RowBytes(to);
    if (tile.accesses > 0) b.Store(tile);
  }
}

void DmaTranspose(Builder& b, Random& random, bool halves) {
  for (int i = 0; i < 3; ++i) {
    const bool convert = halves || (b.operand() == 2 && random.Below(2));
    const int64_t side = b.beat() / b.operand();
    const int64_t rows = Draw(random, 1, 40);
    const int64_t widest = isa::kTurnBeats * side;
    const int64_t cols = Draw(random, 1, widest);
    const ElementFormat format = convert ? ElementFormat::kFp32 : b.Operand();
    const int from = b.AddTensor(fmt::format("from{}", i), format, rows, cols, Draw(random, 0, 5));
    halves ? FillGradients(b, random, from) : b.FillBits(from);
    const int64_t padded = (rows + side - 1) / side * side + side * Draw(random, 0, 2);
    const int64_t pitch = (padded * b.operand() + b.word() - 1) / b.word() * b.word();
    const int64_t bytes =
        (cols * pitch + 2 * isa::kAccessBytes) / isa::kAccessBytes * isa::kAccessBytes;
    const int before = b.AddTensor(fmt::format("before{}", i), b.Operand(), 1, bytes / b.operand());
    const int to = b.AddTensor(fmt::format("to{}", i), b.Operand(), 1, bytes / b.operand());
    b.FillBits(before);
    // What the transposed columns leave out keeps what was there.
    const uint32_t spad = b.LoadWhole(before);
    Tile tile;
    tile.tensor = from;
    tile.rows = rows;
    tile.pad_rows = padded - rows;
    tile.cols = cols;
    tile.accesses = (cols * BytesOf(format) + isa::kAccessBytes - 1) / isa::kAccessBytes;
    tile.transpose = true;
    tile.convert = convert;
    tile.half = halves ? 1 + i % 2 : 0;
    tile.spad = spad;
    tile.spad_pitch = pitch;
    b.Load(tile);
    b.StoreWhole(to, spad);
  }
}

// Random tiles to and from a few tensors: what a store wrote, a later load reads.
void VaultTraffic(Builder& b, Random& random) {
  std::vector<int> tensors;
  for (int i = 0; i < 4; ++i) {
    tensors.push_back(b.AddTensor(fmt::format("mem{}", i), b.Operand(), Draw(random, 2, 20),
                                  Draw(random, 32, 900), Draw(random, 0, 20)));
    b.FillBits(tensors.back());
  }
  struct Held {
    uint32_t spad;
    int64_t rows, accesses, pitch;
  };
  std::vector<Held> held;
  for (int i = 0; i < 60; ++i) {
    const int t = tensors[random.Below(tensors.size())];
    const int64_t row_accesses = b.RowBytes(t) / isa::kAccessBytes;
    Tile tile;
    tile.tensor = t;
    const bool load = held.size() < 3 || random.Below(2) == 1;
    if (load) {
      tile.rows = Draw(random, 1, std::min<int64_t>(6, b.Tensor(t).rows));
      tile.accesses = Draw(random, 1, std::min<int64_t>(8, row_accesses));
      tile.spad_pitch = (tile.accesses * isa::kAccessBytes + b.word() - 1) / b.word() * b.word();
      tile.spad = b.Room(static_cast<uint64_t>(tile.rows * tile.spad_pitch));
      held.push_back({tile.spad, tile.rows, tile.accesses, tile.spad_pitch});
    } else {
      const Held& h = held[held.size() - 1 - random.Below(3)];
      tile.rows = std::min(h.rows, b.Tensor(t).rows);
      tile.accesses = std::min(h.accesses, row_accesses);
      tile.spad = h.spad;
      tile.spad_pitch = h.pitch;
    }
    tile.row = Draw(random, 0, b.Tensor(t).rows - tile.rows);
    tile.access = Draw(random, 0, row_accesses - tile.accesses);
    load ? b.Load(tile) : b.Store(tile);
  }
}

// ---- lane programs

// Random programs, each over a tile that the next goes on with.
void Lanes(Builder& b, Random& random) {
  auto draw = [&random] { return random.Next(); };
  for (int s = 0; s < isa::kScalars; ++s) b.SetScalar(s, static_cast<float>(random.Normal()));
  const int64_t bytes = std::min<int64_t>(b.spad_bytes() / 4, 8192);
  const int from = b.AddTensor("from", b.Operand(), 1, bytes / b.operand());
  b.FillNormal(from);
  const uint32_t region = b.LoadWhole(from);
  for (int i = 0; i < 6; ++i) {
    const lanes::Program program = DrawLaneProgram(draw, 12, false);
    lanes::Job job =
        DrawLaneJob(draw, static_cast<uint32_t>(b.slot()), static_cast<uint32_t>(bytes));
    for (lanes::Stream& stream : job.streams) {
      // The base that keeps the walk, and what accesses reach besides, inside.
      int64_t low = 0, high = 0;
      for (int k = 0; k < isa::kLaneLoops; ++k) {
        int64_t& stride = stream.strides[k];
        stride %= 12;
        const int64_t reach = ((k == 0 ? job.groups : job.bounds[k - 1]) - 1) * stride;
        (reach < 0 ? low : high) += reach;
      }
      const int64_t wide = 4 / b.operand();
      low -= kLaneReach + wide;
      high += kLaneReach + wide;
      const int64_t slots = bytes / b.slot() - (high - low);
      if (slots <= 0) {
        stream = {region + static_cast<uint32_t>(bytes / 2 / b.slot() * b.slot()), {}};
        continue;
      }
      stream.base = region + static_cast<uint32_t>((Draw(random, 0, slots - 1) - low) * b.slot());
    }
    b.RunLanes(program, job, {{false, true, region, region + static_cast<uint64_t>(bytes)}});
  }
  const int to = b.AddTensor("to", b.Operand(), 1, bytes / b.operand());
  b.StoreWhole(to, region);
}

// A window over a padded image, forwards and backwards, and rows of numbers through everything
// else.
void LaneLibrary(Builder& b, Random& random) {
  const int64_t cols = b.slot() / b.operand();
  const int64_t wide = 4 / b.operand();
  const auto extent = [](bool write, uint32_t begin, int64_t bytes) {
    return Extent{false, write, begin, begin + static_cast<uint64_t>(bytes)};
  };
  b.SetScalar(1, -0.01f);

  // ---- rows
  const int64_t groups = Draw(random, 1, 40);
  const auto run_rows = [&](const lanes::Program& program, const std::vector<lanes::Row>& rows,
                            const std::vector<Extent>& extents) {
    for (const lanes::Job& one :
         lanes::RowJobs(groups, rows, static_cast<int>(cols), static_cast<int>(b.operand()))) {
      b.RunLanes(program, one, extents);
    }
  };
  const int p = b.AddTensor("p", b.Operand(), 1, groups * cols);
  const int q = b.AddTensor("q", b.Operand(), 1, groups * cols);
  const int r = b.AddTensor("r", b.Operand(), 1, groups * cols);
  b.FillNormal(p);
  b.FillNormal(q);
  const uint32_t at_p = b.LoadWhole(p), at_q = b.LoadWhole(q);
  const uint32_t at_r = b.Room(static_cast<uint64_t>(b.RowBytes(r)));
  const lanes::Program element_wise[] = {lanes::AddTensors(true),        lanes::MultiplyTensors(),
                                         lanes::LeakyReluBackward(0.1f), lanes::SigmoidForward(),
                                         lanes::TanhForward(),           lanes::SigmoidBackward(),
                                         lanes::LeakyReluForward(0.01f), lanes::DivideTensors()};
  for (const lanes::Program& program : element_wise) {
    run_rows(program, {{at_p}, {at_q}, {at_r}},
             {extent(false, at_p, b.RowBytes(p)), extent(false, at_q, b.RowBytes(q)),
              extent(true, at_r, b.RowBytes(r))});
    b.StoreWhole(r, at_r);
  }

  // ---- optimisers; adam's two states lie in one tensor
  const int g = b.AddTensor("g", ElementFormat::kFp32, 1, groups * cols);
  const int mean = b.AddTensor("m", ElementFormat::kFp32, 1, 2 * groups * cols);
  const int w = b.AddTensor("w", ElementFormat::kFp32, 1, groups * cols);
  for (int tensor : {g, w}) b.FillNormal(tensor);
  const uint32_t at_g = b.LoadWhole(g), at_m = b.LoadWhole(mean), at_w = b.LoadWhole(w);
  run_rows(lanes::Dropout(0.3f, 2), {{at_p}, {at_g, true}, {at_r}},
           {extent(false, at_p, b.RowBytes(p)), extent(false, at_g, b.RowBytes(g)),
            extent(true, at_r, b.RowBytes(r))});
  b.StoreWhole(r, at_r);
  using enum vaultrain::Optimiser;
  for (const auto optimiser : {kSgd, kMomentum, kNesterov, kAdam}) {
    const auto q_slots = static_cast<int>(groups * wide);
    run_rows(lanes::OptimiserStep({optimiser, 0.001, 0.9, 0.9, 0.999, 1e-8, 0.5}, 1, q_slots),
             {{at_g, true}, {at_m, true}, {at_w, true}},
             {extent(false, at_g, b.RowBytes(g)), extent(true, at_m, b.RowBytes(mean)),
              extent(true, at_w, b.RowBytes(w))});
  }
  b.StoreWhole(mean, at_m);
  b.StoreWhole(w, at_w);
}

// ---- whole

// Everything together: products, losses, moves and random nests over what lies around, in random
// order.
void RandomProgram(Builder& b, Random& random, int64_t classes) {
  int serial = 0;
  const int source = b.AddTensor("source", b.Operand(), 8, 512);
  b.FillBits(source);
  const int numbers = b.AddTensor("numbers", b.Operand(), 4, 512);
  b.FillNormal(numbers);
  for (int s = 0; s < isa::kScalars; ++s) b.SetScalar(s, static_cast<float>(random.Normal()));
  while (b.descriptors() < 50) {
    const std::string suffix = fmt::format("{}", serial++);
    switch (random.Below(6)) {
      case 0:
      case 1:
      case 2: {
        const int from = random.Below(4) ? numbers : source;
        const int out = b.AddTensor("nest" + suffix, b.Operand(), 1, 2048);
        const uint32_t region = b.LoadWhole(from);
        b.RandomNest(region, b.Tensor(from).rows * b.RowBytes(from) / b.word(), out);
        break;
      }
      case 3: {
        Gemm g = FeedForward(b, random, DrawShape(b, random), Values::kNormal, suffix);
        g.reverse = static_cast<unsigned>(random.Below(8));
        b.Multiply(g);
        break;
      }
      case 4:
        b.Multiply(Update(b, random, DrawShape(b, random), Values::kNormal, suffix));
        break;
      default:
        Loss(b, random, std::min<int64_t>(classes, 40), random.Below(2));
        break;
    }
  }
}

// Two steps of a net, placed by the mapper; false if they went apart.
bool TrainTwoSteps(const KernelSetup& setup, const std::string& onnx, const std::string& name,
                   Recipe recipe, const MapOptions& options, Random& random, KernelResult& result) {
  const int64_t batch = recipe.batch;
  recipe.seed = setup.seed;
  const TrainingGraph graph = Differentiate(ParseOnnx(onnx, "net"), batch, LossOf(recipe));
  KernelProgram p;
  p.program = MapNetwork(setup.variant, setup.dram, graph, recipe, "", options);
  p.scalars = {{kScalarStep, -0.1f / static_cast<float>(batch)},
               {kScalarOne, 1.0f},
               {kScalarMask, random.OneToTwo()}};
  p.macs = p.program.macs_needed;
  // The second step starts from what the golden model holds after the first.
  const std::unique_ptr<Device> golden = MakeGoldenDevice(setup.variant, setup.dram);
  golden->Load(p.program.image);
  for (const auto& [index, value] : p.scalars) golden->SetScalar(index, value);
  p.seed = static_cast<uint32_t>(setup.seed);
  golden->SetSeed(p.seed);
  for (int step = 0; step < 2; ++step) {
    std::vector<float> inputs(static_cast<size_t>(batch * graph.features));
    if (graph.one_hot) {
      const auto places = static_cast<size_t>(graph.features / graph.InputSteps());
      for (size_t i = 0; i < inputs.size(); i += places) inputs[i + random.Below(places)] = 1;
    } else {
      for (float& x : inputs) x = static_cast<float>(random.Normal());
    }
    std::vector<uint8_t> labels(static_cast<size_t>(batch));
    for (uint8_t& l : labels) {
      l = static_cast<uint8_t>(random.Below(static_cast<uint64_t>(graph.classes)));
    }
    p.program.network =
        fmt::format("net {} of batch {} ({}), step {}", name, batch, p.program.partition, step);
    for (ProgramSegment& segment : BatchSegments(p.program, {inputs, labels, {}})) {
      p.program.image.push_back(std::move(segment));
    }
    if (!RunProgram(setup, p, result)) return false;
    golden->Load(p.program.image);
    golden->Run(p.program.Stream("train"));
    for (const ProgramTensor& tensor : p.program.tensors) {
      std::vector<uint8_t> bytes(TensorBytes(tensor));
      golden->Read(tensor.address, bytes);
      p.program.image.push_back({tensor.address, std::move(bytes)});
    }
  }
  return true;
}

// A small net of ragged shape. Over several nodes in each of the partitions, the layers wide enough
// to be split.
KernelResult TrainStep(const KernelSetup& setup) {
  KernelResult result;
  const int nodes = setup.variant.vaults;
  const int partitions = nodes > 1 ? 3 : 1;
  for (int round = 0; round < setup.rounds * partitions; ++round) {
    Random random(setup.seed, fmt::format("train_step/{}", round));
    const int classes =
        static_cast<int>(Draw(random, 2, std::min(17, setup.variant.vector.softmax_classes)));
    std::vector<int> widths = {static_cast<int>(Draw(random, 3, 70)),
                               static_cast<int>(Draw(random, 2, 45)),
                               static_cast<int>(Draw(random, 2, 30)), classes};
    int64_t batch = Draw(random, 1, 20);
    MapOptions options;
    if (nodes > 1) {
      options.partition = static_cast<Partition>(round % partitions);
      widths[1] = 32 * nodes;
      widths[2] = 32 * nodes * static_cast<int>(Draw(random, 1, 2));
      batch *= nodes;
    }
    const std::string name = fmt::format("{}", fmt::join(widths, "-"));
    Recipe recipe = DefaultRecipe();
    recipe.batch = batch;
    if (!TrainTwoSteps(setup, MakeFullyConnected("net", widths), name, recipe, options, random,
                       result)) {
      break;
    }
  }
  return result;
}

// Two convolutions, perhaps a pooling, and a fully connected layer.
KernelResult TrainConvolutions(const KernelSetup& setup) {
  KernelResult result;
  for (int round = 0; round < setup.rounds; ++round) {
    Random random(setup.seed, fmt::format("train_conv/{}", round));
    auto draw = [&random](int64_t low, int64_t high) {
      return static_cast<int>(Draw(random, low, high));
    };
    const std::vector<int> shape = {draw(1, 5), draw(6, 10), draw(6, 10)};
    std::vector<ConvShape> convs;
    for (int i = 0; i < 2; ++i) {
      const int kernel = draw(1, 3);
      convs.push_back({draw(2, 20), kernel, draw(1, 2), draw(0, kernel - 1)});
    }
    if (convs[0].stride == 1) convs[0].pool = 2;
    // Groups as they come, or as many as there are channels.
    if (random.Below(2) == 0) {
      if (random.Below(2) == 0) convs[1].out = convs[0].out * draw(1, 2);
      convs[1].groups = std::gcd(convs[0].out, convs[1].out);
    }
    const int classes = draw(2, std::min(17, setup.variant.vector.softmax_classes));
    Recipe recipe = DefaultRecipe();
    recipe.batch = Draw(random, 1, 18) * setup.variant.vaults;
    constexpr const char* kOptimisers[] = {"sgd", "momentum", "nesterov", "adam"};
    recipe.optimiser = kOptimisers[random.Below(std::size(kOptimisers))];
    recipe.weight_decay = random.Below(2) == 0 ? 0 : 0.01;
    recipe.clip_value = random.Below(2) == 0 ? 0 : 0.02;
    if (random.Below(2) == 0) recipe.loss = "mse";
    std::string name = fmt::format("{}", fmt::join(shape, "x"));
    for (const ConvShape& c : convs) {
      name += fmt::format(" conv {} k{} s{} p{} pool {} groups {}", c.out, c.kernel, c.stride,
                          c.pad, c.pool, c.groups);
    }
    name += fmt::format(" {}", recipe.optimiser);
    if (!TrainTwoSteps(setup, MakeConvolutional("net", shape, convs, {classes}), name, recipe, {},
                       random, result)) {
      break;
    }
  }
  return result;
}

// Normalised convolutions with a way around one, parts with differences and quotients, and cells.
KernelResult TrainLayers(const KernelSetup& setup) {
  KernelResult result;
  const Variant& v = setup.variant;
  for (int round = 0; round < setup.rounds; ++round) {
    Random random(setup.seed, fmt::format("train_layers/{}", round));
    auto draw = [&random](int64_t low, int64_t high) {
      return static_cast<int>(Draw(random, low, high));
    };
    Recipe recipe = DefaultRecipe();
    recipe.batch = Draw(random, 1, 18) * v.vaults;
    const int classes = draw(2, std::min(17, v.vector.softmax_classes));
    const int groups = draw(1, 3);
    const int channels = groups * v.array.cols * draw(1, 2);
    const std::vector<int> shape = {draw(1, 5), draw(3, 6), draw(3, 6)};
    if (!TrainTwoSteps(
            setup, MakeResidual("net", shape, channels, groups, classes),
            fmt::format("{} residual {} groups {}", fmt::join(shape, "x"), channels, groups),
            recipe, {}, random, result)) {
      break;
    }
    if (!TrainTwoSteps(setup, MakeBatchNormalised("net", shape, channels, classes),
                       fmt::format("{} batch norm {}", fmt::join(shape, "x"), channels), recipe, {},
                       random, result)) {
      break;
    }
    // Parts of whole accesses of memory.
    const int part = static_cast<int>(isa::kAccessBytes * 8 / v.OperandBits()) * draw(1, 2);
    if (!TrainTwoSteps(setup, MakeGated("net", shape, part, classes),
                       fmt::format("{} gated {}", fmt::join(shape, "x"), part), recipe, {}, random,
                       result)) {
      break;
    }
    const int steps = draw(1, 4);
    const int in = draw(1, 40);
    const int hidden = std::max(v.WordElements(), v.array.cols) * draw(1, 2);
    if (!TrainTwoSteps(setup, MakeSequential("net", "LSTM", steps, in, hidden, classes),
                       fmt::format("{} steps of {} lstm {}", steps, in, hidden), recipe, {}, random,
                       result)) {
      break;
    }
    if (!TrainTwoSteps(setup, MakeSequential("net", "reset GRU", steps, in, hidden, classes),
                       fmt::format("{} steps of {} reset gru {}", steps, in, hidden), recipe, {},
                       random, result)) {
      break;
    }
    if (!TrainTwoSteps(setup, MakeNormalisedSteps("net", "GRU", steps, in, hidden, classes),
                       fmt::format("{} steps of {} gru {} normalised", steps, in, hidden), recipe,
                       {}, random, result)) {
      break;
    }
    const int vocabulary = draw(2, 70);
    if (!TrainTwoSteps(
            setup, MakeTokens("net", steps, vocabulary, in, hidden, classes),
            fmt::format("{} steps of {} classes as {} lstm {}", steps, vocabulary, in, hidden),
            recipe, {}, random, result)) {
      break;
    }
  }
  return result;
}

// ---- garbage

// What no compiler writes: random bits, or one field or a few bits of a good descriptor changed.
Descriptor Spoil(const std::vector<Descriptor>& good, Random& random) {
  Descriptor d = good[random.Below(good.size())];
  switch (random.Below(4)) {
    case 0:
      for (uint8_t& byte : d.bytes()) byte = static_cast<uint8_t>(random.Next());
      break;
    case 1:
      for (uint64_t flips = 1 + random.Below(6); flips > 0; --flips) {
        d.bytes()[random.Below(isa::kDescriptorBytes)] ^=
            static_cast<uint8_t>(1 << random.Below(8));
      }
      break;
    default: {
      const auto fields = isa::Fields();
      const char group = isa::FieldGroup(static_cast<int>(d.Get(FieldId::kOpcode)));
      size_t f = random.Below(fields.size());
      while (!isa::HasField(group, fields[f])) f = random.Below(fields.size());
      const isa::Field& field = fields[f];
      const int64_t high = (int64_t{1} << (field.bits - (field.is_signed ? 1 : 0))) - 1;
      const int64_t low = field.is_signed ? -high - 1 : 0;
      const int64_t values[] = {0, 1, low, high, Draw(random, low, high)};
      d.Set(static_cast<FieldId>(f), values[random.Below(std::size(values))],
            static_cast<int>(random.Below(static_cast<uint64_t>(field.count))));
    }
  }
  return d;
}

class GarbageRun {
 public:
  explicit GarbageRun(const KernelSetup& setup)
      : setup_(setup),
        random_(setup.seed, "garbage"),
        rtl_(MakeRtlDevice(setup.variant, setup.dram, setup.resources, setup.device)),
        golden_(MakeGoldenDevice(setup.variant, setup.dram)),
        machine_(MachineConfigOf(setup.variant, setup.dram)) {
    Builder builder(setup.variant, setup.dram, random_);
    GemmBp(builder, random_);
    KSplit(builder, random_);
    if (setup.variant.HasWideGradients()) HalvesStreamed(builder, random_);
    Loss(builder, random_, 16, false);
    Lanes(builder, random_);
    good_ = builder.Finish("good").program.Stream("train").nodes[0].descriptors;
    good_.pop_back();
    // What runs before a bad descriptor must end by itself.
    Descriptor load(Opcode::kLoad);
    load.Set(FieldId::kRows, 3);
    load.Set(FieldId::kRowAccesses, 4);
    load.Set(FieldId::kDramPitch, 256);
    load.Set(FieldId::kSpadPitch, 256);
    load_ = load;
  }

  KernelResult Run() {
    Orders();
    for (int i = 0; i < setup_.garbage && result_.passed;) {
      const Descriptor bad = Spoil(good_, random_);
      const ErrorCode expected = machine_.Check(bad);
      if (expected == ErrorCode::kNone) continue;
      ++i;
      std::vector<Descriptor> program(random_.Below(4), load_);
      const auto index = static_cast<uint32_t>(program.size());
      program.push_back(bad);
      program.emplace_back(Opcode::kEnd);
      Expect(program, expected, index, isa::ToText(bad));
    }
    return result_;
  }

 private:
  static constexpr uint64_t kProgram = 0x100000;

  // Programs whose descriptors are well-formed each by itself.
  void Orders() {
    Expect({load_, load_}, ErrorCode::kNoEnd, 2, "no END");
    Descriptor signal = load_;
    signal.Set(FieldId::kSignal, isa::BitOf(isa::Engine::kSend));
    std::vector<Descriptor> signals(70, signal);
    signals.emplace_back(Opcode::kEnd);
    Expect(signals, ErrorCode::kSemaphore, std::nullopt, "70 signals");
    Descriptor wait = load_;
    wait.Set(FieldId::kWait, isa::BitOf(isa::Engine::kLanes));
    const Descriptor end(Opcode::kEnd);
    Expect({wait, end}, ErrorCode::kWatchdog, std::nullopt, "a wait for nothing");
    for (const Descriptor& d : good_) {
      if (static_cast<Opcode>(d.Get(FieldId::kOpcode)) != Opcode::kVector) continue;
      Descriptor vector = d;
      vector.Set(FieldId::kWait, 0);
      vector.Set(FieldId::kSignal, 0);
      Expect({vector, end}, ErrorCode::kWatchdog, std::nullopt, "VECTOR without sums");
      break;
    }
  }

  // The engine stops with the code at the descriptor; the next good program runs.
  void Expect(const std::vector<Descriptor>& program, ErrorCode code, std::optional<uint32_t> index,
              const std::string& what) {
    if (!result_.passed) return;
    const RunReport report = RunOn(*rtl_, program);
    result_.cycles += report.counters.cycles;
    if (report.error != code || (index && report.error_index != *index)) {
      Fail(fmt::format(
          "{}: rtl stops with error code {} at descriptor {}, by cycle {}; golden with {} at {}",
          what, static_cast<int>(report.error), report.error_index, report.counters.cycles,
          static_cast<int>(code), index ? fmt::format("{}", *index) : "any"));
      return;
    }
    Recover(what);
  }

  // Copies fresh bytes through the scratchpad.
  void Recover(const std::string& what) {
    std::vector<uint8_t> bytes(768);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_.Next());
    Descriptor store(Opcode::kStore);
    store.Set(FieldId::kRows, 3);
    store.Set(FieldId::kRowAccesses, 4);
    store.Set(FieldId::kDramPitch, 256);
    store.Set(FieldId::kSpadPitch, 256);
    store.Set(FieldId::kDramAddr, 0x40000);
    Descriptor load = load_;
    Order(load, store);
    const std::vector<Descriptor> program = {load, store, Descriptor(Opcode::kEnd)};
    std::vector<uint8_t> got[2];
    int i = 0;
    for (Device* device : {rtl_.get(), golden_.get()}) {
      const ProgramSegment segment{0, bytes};
      device->Load({&segment, 1});
      const RunReport report = RunOn(*device, program);
      result_.cycles += report.counters.cycles;
      if (report.error != ErrorCode::kNone) {
        return Fail(fmt::format("the program after {}: error code {} at descriptor {}", what,
                                static_cast<int>(report.error), report.error_index));
      }
      got[i].resize(bytes.size());
      device->Read(0x40000, got[i++]);
    }
    const auto differ = std::mismatch(got[0].begin(), got[0].end(), got[1].begin());
    if (differ.first == got[0].end()) return;
    Fail(fmt::format("the program after {}: byte {} of the copy: rtl {:#x}, golden {:#x}", what,
                     differ.first - got[0].begin(), *differ.first, *differ.second));
  }

  RunReport RunOn(Device& device, const std::vector<Descriptor>& program) {
    const NodeProgram node{kProgram, program};
    const ProgramSegment segment{kProgram, DescriptorBytes(node)};
    device.Load({&segment, 1});
    return device.Run({"train", {node}});
  }

  void Fail(std::string message) {
    result_.passed = false;
    result_.message = std::move(message);
  }

  const KernelSetup& setup_;
  Random random_;
  std::unique_ptr<Device> rtl_, golden_;
  golden::Machine machine_;
  std::vector<Descriptor> good_;
  Descriptor load_;
  KernelResult result_;
};

}  // namespace

std::vector<Kernel> KernelsOf(const Variant& variant) {
  std::vector<Kernel> kernels;
  auto add = [&kernels](const char* name, const char* meaning, int programs, const Build& build) {
    kernels.push_back({name, meaning, [=](const KernelSetup& setup) {
                         return RunBuilt(setup, name, programs, build);
                       }});
  };
  add("gemm_ff", "feed-forward: y = x w^T + b, with ReLU or without", 3, GemmFf);
  add("gemm_bp", "back-propagation: dx = dz w through transposed weights, masked", 3, GemmBp);
  add("gemm_up", "weight update: w += s dz^T x through transposed operands", 3, GemmUp);
  add("gemm_any_bits", "products of any bits: NaN, infinities, subnormal numbers", 3, GemmAnyBits);
  add("k_split", "sums that go on in a second COMPUTE", 2, KSplit);
  add("reverse", "loops that run backwards", 3, Reverse);
  add("activation", "ReLU, and its mask on a gradient", 2, Activation);
  const int64_t classes = variant.vector.softmax_classes;
  add("loss", "softmax, loss and gradient", 2,
      [classes](Builder& b, Random& r) { Loss(b, r, classes, false); });
  add("loss_extreme", "the same of extreme logits, NaN and infinities", 3,
      [classes](Builder& b, Random& r) { Loss(b, r, classes, true); });
  add("optimiser", "weights updated in place, again and again", 2, Optimiser);
  add("dma_plain", "loads with padding and stores, odd pitches", 2, DmaPlain);
  if (variant.OperandBits() == 16) {
    add("dma_convert", "loads that round to operands", 2,
        [](Builder& b, Random& r) { DmaConvert(b, r, false); });
  }
  add("dma_transpose", "transposed loads, padded, some rounding", 3,
      [](Builder& b, Random& r) { DmaTranspose(b, r, false); });
  if (variant.HasWideGradients()) {
    add("halves_streamed", "products of streamed gradients of fx32", 3, HalvesStreamed);
    add("halves_stationary", "products of stationary gradients of fx32", 3, HalvesStationary);
    add("dma_halves", "loads of high and of low halves of fx32", 2,
        [](Builder& b, Random& r) { DmaConvert(b, r, true); });
    add("dma_halves_transpose", "the same transposed", 2,
        [](Builder& b, Random& r) { DmaTranspose(b, r, true); });
  }
  add("vault_traffic", "random tiles to and from memory, read after write", 2, VaultTraffic);
  add("random_programs", "all of them in random order with random nests", 3,
      [classes](Builder& b, Random& r) { RandomProgram(b, r, classes); });
  add("lanes", "random lane programs, one over the results of another", 3, Lanes);
  add("lane_library", "element-wise layers and optimisers on the lanes", 2, LaneLibrary);
  kernels.push_back({"train_step", "two training steps of a small net", TrainStep});
  if (variant.WordElements() % variant.array.cols == 0) {
    kernels.push_back({"train_conv", "the same of convolutions", TrainConvolutions});
    kernels.push_back(
        {"train_layers", "the same of normalisation, branches and cells", TrainLayers});
  }
  kernels.push_back({"garbage", "bad programs are refused alike, and the next good one runs",
                     [](const KernelSetup& setup) { return GarbageRun(setup).Run(); }});
  return kernels;
}

std::vector<KernelCase> CasesOf(const Variant& variant) {
  std::vector<KernelCase> cases;
  for (const Kernel& kernel : KernelsOf(variant)) {
    cases.push_back({kernel.name, kernel, 0});
    cases.push_back({kernel.name + "/stalls", kernel, 40});
  }
  return cases;
}

KernelResult RunCase(const KernelCase& one, KernelSetup setup) {
  setup.device.disturb = one.disturb;
  setup.device.seed = setup.seed;
  setup.device.max_cycles = kMaxCycles;
  try {
    return one.kernel.run(setup);
  } catch (const Error& error) {
    if (error.status() == ExitStatus::kToolMissing) throw;
    return {false, 0, 0, error.what()};
  } catch (const std::exception& error) {
    return {false, 0, 0, error.what()};
  }
}

}  // namespace vaultrain::kernels
