// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Convolutions: matrix products whose rows are windows of images, formed by the loops of the array.
//
// Images lie in memory as rows of channels (Raster). A tile of pixels is loaded once; the loops of
// a COMPUTE then walk its windows:
//
//   FF  Y[pixel][o]        = X[pixel + tap][c] W[o][tap][c]        depth: channels, taps
//   BP  dX[pixel][c]       = dZ[pixel - tap][o] W[o][tap][c]       depth: outputs, taps of a phase
//   UP  dW[o][tap][c]     += dZ[pixel][o] X[pixel + tap][c]        depth: samples, pixels
//
// Groups go through the array in bundles (groups.cpp), each with its own channels and outputs.
// Pixels at an edge see fewer taps: each run of pixels that see the same ones has its own jobs, so
// that no zeros around an image are stored, loaded or multiplied. BP of a stride goes phase by
// phase: pixels that are equal modulo the stride see the same taps. UP takes both operands
// transposed, so that the samples of a pixel make a word and the windows of neighbouring taps are
// whole words apart; its sums of several bands and groups add up in the scratchpad, in fp32.
//
// Over several nodes each has its samples: weights come from their owners, and gradients of weights
// are summed at them.

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "mapper/mapping.h"
#include "mapper/windows.h"
#include "vaultrain/error.h"

namespace vaultrain {

using isa::Aux;
using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

namespace {

// How much of an axis a run of outputs sees.
int64_t Reach(int64_t outputs, int64_t kernel, int64_t stride, int64_t dilation) {
  return (outputs - 1) * stride + (kernel - 1) * dilation + 1;
}

// How the rows of B are cut: columns of results that are stored at once, and those whose rows of B
// lie in the scratchpad at once.
struct Cut {
  int64_t chunk = 0, part = 0;
};

// Chunks begin on accesses of memory and keep their B for all bands; where even the least of them
// is too long, its parts come anew for each band. Either are whole bundles or lie in one.
Cut CutColumns(int64_t columns, int64_t of_bundle, int64_t pitch, int64_t room, int64_t least) {
  constexpr int64_t kStep = isa::kAccessBytes / 2;
  const int64_t bundles = std::lcm(of_bundle, kStep);
  Cut cut{columns, 0};
  while (cut.chunk > bundles && cut.chunk * pitch > room) {
    cut.chunk = RoundUp(cut.chunk / 2, bundles);
  }
  const bool divides = cut.chunk <= of_bundle;
  while (divides && cut.chunk > kStep && cut.chunk * pitch > room) {
    cut.chunk = RoundUp(cut.chunk / 2, kStep);
  }
  cut.part = cut.chunk;
  while (cut.part > of_bundle && cut.part * pitch > room) {
    cut.part = RoundUp(cut.part / 2, of_bundle);
  }
  while (cut.part > least && cut.part * pitch > room) cut.part = RoundUp(cut.part / 2, least);
  return cut;
}

// Columns from `at` on that are worked on at once, `most` of them or less.
int64_t Next(int64_t at, int64_t most, int64_t end, int64_t of_bundle) {
  const int64_t in_bundle = most < of_bundle ? of_bundle - at % of_bundle : most;
  return std::min({most, end - at, in_bundle});
}

// What bundles see of the other side of a layer, of which `seen` belong to a bundle: whole
// accesses.
struct Span {
  int64_t begin = 0, count = 0;
};

Span SeenBy(int64_t first, int64_t count, int64_t of_bundle, int64_t seen, int64_t all) {
  constexpr int64_t kStep = isa::kAccessBytes / 2;
  const int64_t begin = first / of_bundle * seen / kStep * kStep;
  return {begin, std::min(all, CeilDiv(first + count, of_bundle) * seen) - begin};
}

// The most that so many columns see.
int64_t MostSeen(int64_t count, int64_t of_bundle, int64_t seen, int64_t all) {
  constexpr int64_t kStep = isa::kAccessBytes / 2;
  return std::min(all, CeilDiv(count, of_bundle) * seen + kStep - std::gcd(seen, kStep));
}

}  // namespace

// ---- layers as they are mapped

TrainingLayer Mapper::Mapped(int layer) const {
  TrainingLayer l = graph_.layers[layer];
  if (layer == 0 && UnfoldsInput()) {
    l.from = {l.to.height, l.to.width, l.in};
    l.window = {};
  }
  // A single output has no neighbour, so any stride is right: with this one BP has a phase, and so
  // a single tap, for each pixel.
  Window& w = l.window;
  if (l.to.height == 1) {
    w.stride_h = std::max(l.from.height, Reach(1, w.kernel_h, 1, w.dilation_h));
  }
  if (l.to.width == 1) {
    w.stride_w = std::max(l.from.width, Reach(1, w.kernel_w, 1, w.dilation_w));
  }
  return l;
}

// Where it saves the array a fifth of its work, and nothing else takes the images.
bool Mapper::UnfoldsInput() const {
  const TrainingLayer& l = graph_.layers.front();
  int uses = 0;
  for (const TrainingOp& op : graph_.ops) {
    if (op.phase != Phase::kFeedForward) continue;
    for (const Operand& operand : op.operands) uses += operand.tensor == graph_.input;
  }
  return uses == 1 && l.kind == LayerKind::kLinear && l.groups == 1 && !l.IsFlat() &&
         l.to.pixels() > 1 && 4 * l.window.taps() * KWords(l.from.channels) > 5 * KWords(l.in);
}

// Where the values of an image of the input come from in a sample; empty: as they are.
std::vector<int32_t> Mapper::InputSource() const {
  if (!UnfoldsInput()) {
    std::vector<int32_t> places(static_cast<size_t>(graph_.sequence ? graph_.features : 0));
    for (size_t i = 0; i < places.size(); ++i) {
      places[i] = static_cast<int32_t>(graph_.InputPlace(static_cast<int64_t>(i)));
    }
    return places;
  }
  const TrainingLayer& l = graph_.layers.front();
  const Window& w = l.window;
  std::vector<int32_t> source;
  source.reserve(static_cast<size_t>(l.in * l.to.pixels()));
  for (int64_t ky = 0; ky < w.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < w.kernel_w; ++kx) {
      for (int64_t c = 0; c < l.from.channels; ++c) {
        for (int64_t y = 0; y < l.to.height; ++y) {
          for (int64_t x = 0; x < l.to.width; ++x) {
            const int64_t from_y = y * w.stride_h + ky * w.dilation_h - w.pad_top;
            const int64_t from_x = x * w.stride_w + kx * w.dilation_w - w.pad_left;
            const bool inside =
                from_y >= 0 && from_y < l.from.height && from_x >= 0 && from_x < l.from.width;
            int64_t from = (c * l.from.height + from_y) * l.from.width + from_x;
            if (inside) from = graph_.InputPlace(from);
            source.push_back(inside ? static_cast<int32_t>(from) : -1);
          }
        }
      }
    }
  }
  return source;
}

bool Mapper::IsWindowed(const TrainingOp& op) const {
  const TrainingLayer& layer = graph_.layers[op.layer];
  return layer.kind == LayerKind::kRecurrent ||
         (layer.kind == LayerKind::kLinear && !Mapped(op.layer).IsFlat());
}

Raster Mapper::RasterFor(size_t graph_tensor) const {
  Raster r;
  r.image = graph_.tensors[graph_tensor].image;
  if (static_cast<int>(graph_tensor) == graph_.input && UnfoldsInput()) r.image = Mapped(0).from;
  r.samples = word_elements_;
  r.groups = CeilDiv(local_batch_, r.samples);
  r.has_zeros = local_batch_ % r.samples != 0;
  for (const TrainingOp& op : graph_.ops) {
    // Nothing is reset behind the last step.
    r.has_zeros = r.has_zeros || op.Tensor(Role::kReset) == static_cast<int>(graph_tensor);
    // Nor behind the hidden values that a layer has.
    r.has_zeros = r.has_zeros || (op.kind == TrainingOpKind::kRecurrentBackward &&
                                  op.Tensor(Role::kDz) == static_cast<int>(graph_tensor) &&
                                  GateWidth(v_, graph_.layers[op.layer]) > r.image.channels);
    if (op.Tensor(Role::kDx) != static_cast<int>(graph_tensor)) continue;
    if (op.kind == TrainingOpKind::kCopy) {
      const TrainingLayer& l = graph_.layers[op.layer];
      r.has_zeros = r.has_zeros || (l.kind == LayerKind::kSlice && !(l.from == l.to));
    }
    if (op.kind != TrainingOpKind::kLinearBackward || !IsWindowed(op)) continue;
    const TrainingLayer l = Mapped(op.layer);
    r.has_zeros = r.has_zeros || !AllSeen(InputPhases(RowsOf(l)), RowsOf(l).size) ||
                  !AllSeen(InputPhases(ColumnsOf(l)), ColumnsOf(l).size);
  }
  return r;
}

// ---- weights

// Rows of the weights, and rows of zeros up to a whole tile of the array.
Load Mapper::GatherWeights(int layer, int w, int64_t row, int64_t rows, int64_t channel,
                           int64_t width, int64_t pitch, int buffer, int tag) const {
  const TrainingLayer l = Mapped(layer);
  const LayerPlan plan = WindowPlan(layer);
  const bool whole = width == TapWidth(l);
  const int64_t loads = whole ? 1 : l.window.taps();
  const int parts = grid_.batch.parts;
  std::vector<Piece> pieces;
  for (int64_t at = row; at < row + rows;) {
    const int64_t b = at / plan.block;
    const int64_t count = std::min(row + rows, (b + 1) * plan.block) - at;
    const int64_t pad = at + count == row + rows ? RoundUp(rows, v_.array.cols) - rows : 0;
    Piece piece{static_cast<int>(b % parts), (at - row) * pitch, count + pad, pitch, {}};
    for (int64_t tap = 0; tap < loads; ++tap) {
      piece.loads.push_back(LoadPlain(w, b / parts * plan.block + at % plan.block, count,
                                      tap * TapWidth(l) + channel, whole ? local_[w].cols : width,
                                      pad, pitch, Converts(local_[w]), buffer, tag,
                                      piece.offset + tap * width * operand_));
    }
    pieces.push_back(std::move(piece));
    at += count;
  }
  return Gather(Axis::kBatch, buffer, pitch, std::move(pieces), tag);
}

// Rows are channels, each with some rows of taps of all outputs of a bundle: [channel][ky][kx][o].
Load Mapper::GatherTransposed(int layer, int w, int64_t channel, int64_t channels, int64_t ky,
                              int64_t tap_rows, int64_t pitch, int buffer, int tag) const {
  const TrainingLayer l = Mapped(layer);
  const LayerPlan plan = WindowPlan(layer);
  const int parts = grid_.batch.parts;
  std::vector<Piece> pieces;
  for (int64_t b = 0; b < plan.Blocks(); ++b) {
    const int64_t pad =
        b + 1 == plan.Blocks() ? KWords(plan.slice) * word_elements_ - plan.slice : 0;
    const int64_t first = ky * l.window.kernel_w;
    for (int64_t tap = first; tap < first + tap_rows * l.window.kernel_w; ++tap) {
      Piece piece{static_cast<int>(b % parts),
                  (tap - first) * KWords(plan.slice) * word_ + b * plan.block * operand_,
                  channels,
                  (plan.RowsOf(b) + pad) * operand_,
                  {}};
      piece.loads =
          LoadTransposed(w, b / parts * plan.block, plan.RowsOf(b), tap * TapWidth(l) + channel,
                         channels, pad, pitch, buffer, piece.offset, tag);
      pieces.push_back(std::move(piece));
    }
  }
  return Gather(Axis::kBatch, buffer, pitch, std::move(pieces), tag);
}

namespace {

// Pixels of a row that make a set of sums, in equal parts as far as that goes.
int64_t PixelsOfSet(int64_t pixels, int64_t samples, int64_t sums) {
  const int64_t most = std::max<int64_t>(1, sums / samples);
  return CeilDiv(pixels, CeilDiv(pixels, most));
}

// Samples of a pixel that make a set of sums; groups are powers of two.
int64_t SamplesOfSet(int64_t samples, int64_t sums) {
  while (samples > sums) samples = CeilDiv(samples, 2);
  return samples;
}

}  // namespace

// ---- feed-forward

void Mapper::AddWindowForward(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer l = Mapped(op.layer);
  const Window& w = l.window;
  const Bundles bundles = BundlesOf(l);
  if (bundles.groups > 1) AddBundles(op, tag, budget);
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int weights = WindowWeights(op);
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int bias = op.Tensor(Role::kB) < 0 ? -1 : tensor_of_[op.Tensor(Role::kB)];
  const ProgramTensor& out = local_[y];
  const WindowAxis down = RowsOf(l);
  const WindowAxis across = ColumnsOf(l);
  const int64_t cols = v_.array.cols;
  // Of an output the weights of its bundle's channels.
  auto width_of = [&](int64_t bundle, int64_t count) {
    const int64_t behind = TapWidth(l) - bundle * bundles.channels;
    return bundle + count == bundles.count ? behind : count * bundles.channels;
  };
  auto pitch_of = [&](int64_t width) { return RoundUp(w.taps() * width * operand_, word_); };
  const int64_t of_output = pitch_of(width_of(0, 1));

  const Cut cut =
      CutColumns(l.to.channels, bundles.outputs, of_output, Scratchpad(budget) / 3, cols);
  const int64_t a_pitch = OperandPitch(
      {x, false}, MostSeen(cut.chunk, bundles.outputs, bundles.channels, l.from.channels));
  const int64_t out_pitch = OutPitch(out, cut.chunk);
  const int64_t samples = SamplesOfTurn(raster_.at(x), {{x, a_pitch}, {y, out_pitch}});
  const int64_t a_pixel = samples * a_pitch;
  const int64_t out_pixel = samples * out_pitch;
  const Tile tile = FitTile(
      TurnsOf(x, samples) > 1 && cut.part >= l.to.channels
          ? CeilDiv(l.to.height, tuning_.forward_bands)
          : l.to.height,
      l.to.width, (Scratchpad(budget) - RoundUp(cut.part, cols) * of_output) / TurnsOf(x, samples),
      [&](const Tile& t) {
        return down.MostSeen(t.rows) * across.MostSeen(t.pixels) * a_pixel +
               t.rows * t.pixels * out_pixel;
      });
  const int64_t together = SamplesOfSet(samples, v_.AccHalfDepth());
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "{} stationary in the array, windows of {} streamed; tiles of {} x {} pixels by {} "
        "samples, "
        "{} outputs{}",
        local_[weights].name, local_[x].name, tile.rows, tile.pixels, samples, cut.chunk,
        BundleText(l, bundles));
  }
  for (int64_t n = 0, count = 0; n < l.to.channels; n += count) {
    count = Next(n, cut.chunk, l.to.channels, bundles.outputs);
    const Span seen = SeenBy(n, count, bundles.outputs, bundles.channels, l.from.channels);
    const int64_t bias_pitch = RoundUp(RoundUp(count * 4, kAccess), word_);
    const int biases = bias < 0 ? -1 : s_->AddBuffer(static_cast<uint32_t>(bias_pitch), true);
    std::vector<Load> shared;
    if (bias >= 0) {
      Piece piece{0, 0, 1, bias_pitch, {}};
      piece.loads.push_back(LoadPlain(bias, 0, 1, n, count, 0, bias_pitch, false, biases, tag));
      shared.push_back(Gather(Axis::kBatch, biases, bias_pitch, {piece}, tag));
    }
    int b = -1;
    ForEachTile(raster_.at(x), samples, l.to.height, l.to.width, tile, [&](const Patch& to) {
      const auto [from_y, from_rows] = down.Seen(to.y, to.rows);
      const auto [from_x, from_pixels] = across.Seen(to.x, to.pixels);
      const int64_t a_row = from_pixels * a_pixel;
      const int64_t out_row = to.pixels * out_pixel;
      const int a = s_->AddBuffer(static_cast<uint32_t>(from_rows * a_row), false);
      const int results = s_->AddBuffer(static_cast<uint32_t>(to.rows * out_row), false);
      AddPatchLoads(shared, x, {to.of, from_y, from_rows, from_x, from_pixels}, seen.begin,
                    seen.count, a_pitch, a, tag);
      for (int64_t part = 0, outputs = 0; part < count; part += outputs) {
        outputs = Next(n + part, cut.part, n + count, bundles.outputs);
        const bool last = part + outputs == count;
        // Rows of B are outputs of a bundle, each with the channels of all bundles of the part.
        const std::vector<BundleRun> runs = BundleRuns(n + part, outputs, bundles.outputs);
        const int64_t bundle = runs.front().bundle;
        const int64_t in_part = runs.back().bundle + runs.back().bundles - bundle;
        const int64_t b_rows = in_part > 1 ? bundles.outputs : outputs;
        const int64_t width = width_of(bundle, in_part);
        const int64_t b_pitch = pitch_of(width);
        Task task;
        task.loads = std::exchange(shared, {});
        if (b < 0 || outputs < count) {
          b = s_->AddBuffer(static_cast<uint32_t>(RoundUp(b_rows, cols) * b_pitch),
                            outputs == count);
          task.loads.push_back(GatherWeights(op.layer, weights, (n + part) % bundles.outputs,
                                             b_rows, bundle * bundles.channels, width, b_pitch, b,
                                             tag));
        }
        VectorSpec vector;
        vector.out = results;
        vector.out_bytes = BytesOf(out);
        vector.relu = op.relu;
        if (bias >= 0) {
          vector.aux = biases;
          vector.aux_kind = Aux::kAdd;
        }
        for (const TapRun& all_rows : OutputRuns(down)) {
          const TapRun ry = all_rows.Within(to.y, to.rows);
          for (const TapRun& all_pixels : OutputRuns(across)) {
            TapRun rx = all_pixels.Within(to.x, to.pixels);
            // As many whole sets as there are, then what is left of the row.
            for (; ry.count > 0 && rx.count > 0;) {
              const int64_t of_set = PixelsOfSet(rx.count, samples, v_.AccHalfDepth());
              const int64_t sets = rx.count / of_set;
              const int64_t step = w.stride_w * a_pixel;
              for (const BundleRun& run : runs) {
                const int64_t channel = run.bundle * bundles.channels;
                const int64_t channels = std::min(bundles.channels, l.from.channels - channel);
                Nest nest;
                nest.rows = {{together, a_pitch, 0, out_pitch, 0}, {of_set, step, 0, out_pixel, 0}};
                nest.depth = {{KWords(channels), word_, word_},
                              {rx.taps, w.dilation_w * a_pixel, width * operand_},
                              {ry.taps, w.dilation_h * a_row, w.kernel_w * width * operand_}};
                nest.sets = {{CeilDiv(run.count, cols), 0, cols * b_pitch, cols * vector.out_bytes,
                              cols * 4},
                             {run.bundles, bundles.channels * operand_, bundles.channels * operand_,
                              bundles.outputs * vector.out_bytes, bundles.outputs * 4},
                             {samples / together, together * a_pitch, 0, together * out_pitch, 0},
                             {sets, of_set * step, 0, of_set * out_pixel, 0},
                             {ry.count, w.stride_h * a_row, 0, out_row, 0}};
                ComputeSpec product;
                product.a = a;
                product.b = b;
                product.a_offset =
                    (ry.begin * w.stride_h + ry.tap * w.dilation_h - w.pad_top - from_y) * a_row +
                    (rx.begin * w.stride_w + rx.tap * w.dilation_w - w.pad_left - from_x) *
                        a_pixel +
                    (channel - seen.begin) * operand_;
                product.b_offset = (ry.tap * w.kernel_w + rx.tap) * width * operand_ +
                                   (run.bundle - bundle) * bundles.channels * operand_;
                product.b_pitch = b_pitch;
                vector.out_offset = (ry.begin - to.y) * out_row + (rx.begin - to.x) * out_pixel +
                                    (run.first - n) * vector.out_bytes;
                vector.aux_offset = bias < 0 ? 0 : (run.first - n) * 4;
                vector.tail = last && n + count == l.to.channels && &run == &runs.back();
                AddJobs(task.work, product, vector, nest, tag);
              }
              rx = rx.Within(rx.begin + sets * of_set, rx.count - sets * of_set);
            }
          }
        }
        if (last) AddPatchStores(task.stores, y, to, n, count, out_pitch, results, tag);
        AddTask(std::move(task));
      }
    });
  }
}

// ---- back-propagation

void Mapper::AddWindowBackward(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer l = Mapped(op.layer);
  const Window& w = l.window;
  const Bundles bundles = BundlesOf(l);
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int weights = WindowWeights(op);
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int dx = tensor_of_[op.Tensor(Role::kDx)];
  const ProgramTensor& out = local_[dx];
  const WindowAxis down = RowsOf(l);
  const WindowAxis across = ColumnsOf(l);
  const std::vector<TapPhase> row_phases = InputPhases(down);
  const std::vector<TapPhase> column_phases = InputPhases(across);
  const int64_t cols = v_.array.cols;
  const int64_t k_words = KWords(bundles.outputs);
  // Behind a single row of outputs each row of dX sees one row of taps; where all of them are too
  // long, they come one by one.
  const int64_t least = std::max(cols, kAccess / 4);
  const int64_t tap_row = w.kernel_w * k_words * word_;
  const bool by_rows = l.to.height == 1 && least * w.kernel_h * tap_row > Scratchpad(budget) / 3;
  const int64_t b_pitch = (by_rows ? 1 : w.kernel_h) * tap_row;
  // Pixels that no window sees have no gradient; their zeros are in memory from the beginning.
  const std::pair<int64_t, int64_t> seen_rows = SeenInputs(row_phases, down);
  const std::pair<int64_t, int64_t> seen_pixels = SeenInputs(column_phases, across);
  const bool all_seen =
      AllSeen(row_phases, seen_rows.second) && AllSeen(column_phases, seen_pixels.second);
  if (seen_rows.second == 0 || seen_pixels.second == 0) return;

  const Cut cut =
      CutColumns(l.from.channels, bundles.channels, b_pitch, Scratchpad(budget) / 3, least);
  const int64_t a_pitch = OperandPitch(
      {dz, false}, MostSeen(cut.chunk, bundles.channels, bundles.outputs, l.to.channels));
  const int64_t out_pitch = OutPitch(out, cut.chunk);
  const int64_t mask_pitch = OutPitch(local_[x], cut.chunk);
  const int64_t halves = HalvesOf(dz);
  std::vector<std::pair<int, int64_t>> pitches = {{dz, halves * a_pitch}, {dx, out_pitch}};
  if (op.mask) pitches.emplace_back(x, mask_pitch);
  const int64_t samples = SamplesOfTurn(raster_.at(dx), pitches);
  const int64_t a_pixel = samples * a_pitch;
  const int64_t out_pixel = samples * out_pitch;
  const int64_t mask_pixel = samples * mask_pitch;
  const Tile tile = FitTile(
      by_rows ? 1
      : TurnsOf(dx, samples) > 1 && cut.part >= l.from.channels
          ? CeilDiv(seen_rows.second, tuning_.backward_bands)
          : seen_rows.second,
      seen_pixels.second,
      (Scratchpad(budget) - RoundUp(cut.part, cols) * b_pitch) / TurnsOf(dx, samples),
      [&](const Tile& t) {
        return MostWindows(row_phases, down, seen_rows, t.rows) *
                   MostWindows(column_phases, across, seen_pixels, t.pixels) * halves * a_pixel +
               t.rows * t.pixels * (out_pixel + (op.mask ? mask_pixel : 0));
      });
  const int64_t together = SamplesOfSet(samples, v_.AccHalfDepth());
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "{} transposed stationary in the array, windows of {} streamed in {} phases; tiles of {} x "
        "{} pixels by {} samples, {} channels{}",
        local_[weights].name, local_[dz].name, row_phases.size() * column_phases.size(), tile.rows,
        tile.pixels, samples, cut.chunk, BundleText(l, bundles));
  }
  for (int64_t c = 0, count = 0; c < l.from.channels; c += count) {
    count = Next(c, cut.chunk, l.from.channels, bundles.channels);
    const Span seen = SeenBy(c, count, bundles.channels, bundles.outputs, l.to.channels);
    int b = -1;
    ForEachTile(raster_.at(dx), samples, seen_rows.second, seen_pixels.second, tile, [&](Patch to) {
      to.y += seen_rows.first;
      to.x += seen_pixels.first;
      const auto [z_y, z_rows] = WindowsOf(row_phases, down, to.y, to.rows);
      const auto [z_x, z_pixels] = WindowsOf(column_phases, across, to.x, to.pixels);
      if (z_rows == 0 || z_pixels == 0) return;
      const int64_t a_row = z_pixels * a_pixel;
      const int64_t out_row = to.pixels * out_pixel;
      const int64_t mask_row = to.pixels * mask_pixel;
      const int a = s_->AddBuffer(static_cast<uint32_t>(z_rows * a_row * halves), false);
      const int64_t low = halves > 1 ? z_rows * a_row : 0;
      const int results = s_->AddBuffer(static_cast<uint32_t>(to.rows * out_row), false);
      const int mask =
          op.mask ? s_->AddBuffer(static_cast<uint32_t>(to.rows * mask_row), false) : -1;
      std::vector<Load> shared;
      AddPatchLoads(shared, dz, {to.of, z_y, z_rows, z_x, z_pixels}, seen.begin, seen.count,
                    a_pitch, a, tag, low);
      if (op.mask) AddPatchLoads(shared, x, to, c, count, mask_pitch, mask, tag);
      if (!all_seen) AddPatchLoads(shared, dx, to, c, count, out_pitch, results, tag);
      for (int64_t part = 0, channels = 0; part < count; part += channels) {
        channels = Next(c + part, cut.part, c + count, bundles.channels);
        const std::vector<BundleRun> runs = BundleRuns(c + part, channels, bundles.channels);
        const int64_t padded = RoundUp(channels, cols);
        const bool last = part + channels == count;
        Task task;
        task.loads = std::exchange(shared, {});
        int64_t ky = 0;
        for (const TapPhase& py : row_phases) {
          if (by_rows && py.at == to.y) ky = py.tap;
        }
        if (b < 0 || channels < count || by_rows) {
          b = s_->AddBuffer(static_cast<uint32_t>(padded * b_pitch), channels == count && !by_rows);
          task.loads.push_back(GatherTransposed(op.layer, weights, c + part, padded, ky,
                                                by_rows ? 1 : w.kernel_h, b_pitch, b, tag));
        }
        VectorSpec vector;
        vector.out = results;
        vector.out_bytes = BytesOf(out);
        vector.aux = mask;
        vector.aux_kind = Aux::kMask;
        // Runs of the phases in the tile: first pixels and windows in it.
        for (const TapPhase& py : row_phases) {
          const auto [t0, t1] = py.Between(to.y, to.rows, w.stride_h);
          for (const TapRun& all_rows : py.runs) {
            const TapRun ry = all_rows.Within(t0, t1 - t0);
            for (const TapPhase& px : column_phases) {
              const auto [u0, u1] = px.Between(to.x, to.pixels, w.stride_w);
              for (const TapRun& all_pixels : px.runs) {
                TapRun rx = all_pixels.Within(u0, u1 - u0);
                for (; ry.count > 0 && ry.taps > 0 && rx.count > 0 && rx.taps > 0;) {
                  const int64_t of_set = PixelsOfSet(rx.count, samples, v_.AccHalfDepth());
                  const int64_t sets = rx.count / of_set;
                  const int64_t out_step = w.stride_w * out_pixel;
                  const int64_t mask_step = w.stride_w * mask_pixel;
                  for (const BundleRun& run : runs) {
                    const int64_t output = run.bundle * bundles.outputs;
                    const int64_t outputs = std::min(bundles.outputs, l.to.channels - output);
                    Nest nest;
                    nest.rows = {{together, a_pitch, 0, out_pitch, mask_pitch},
                                 {of_set, a_pixel, 0, out_step, mask_step}};
                    nest.depth = {{KWords(outputs), word_, word_},
                                  {rx.taps, -px.back * a_pixel, px.tap_step * k_words * word_},
                                  {ry.taps, -py.back * a_row, py.tap_step * tap_row}};
                    nest.sets = {
                        {CeilDiv(run.count, cols), 0, cols * b_pitch, cols * vector.out_bytes,
                         cols * operand_},
                        {run.bundles, bundles.outputs * operand_, bundles.channels * b_pitch,
                         bundles.channels * vector.out_bytes, bundles.channels * operand_},
                        {samples / together, together * a_pitch, 0, together * out_pitch,
                         together * mask_pitch},
                        {sets, of_set * a_pixel, 0, of_set * out_step, of_set * mask_step},
                        {ry.count, a_row, 0, w.stride_h * out_row, w.stride_h * mask_row}};
                    ComputeSpec product;
                    product.a = a;
                    product.b = b;
                    product.a_offset = (py.from + ry.begin - ry.tap * py.back - z_y) * a_row +
                                       (px.from + rx.begin - rx.tap * px.back - z_x) * a_pixel +
                                       (output - seen.begin) * operand_;
                    product.b_offset = (py.tap + ry.tap * py.tap_step - ky) * tap_row +
                                       (px.tap + rx.tap * px.tap_step) * k_words * word_ +
                                       (run.first - c - part) * b_pitch;
                    product.b_pitch = b_pitch;
                    product.a_low = low;
                    const int64_t pixel_y = py.at + ry.begin * w.stride_h - to.y;
                    const int64_t pixel_x = px.at + rx.begin * w.stride_w - to.x;
                    vector.out_offset = pixel_y * out_row + pixel_x * out_pixel +
                                        (run.first - c) * vector.out_bytes;
                    vector.aux_offset =
                        pixel_y * mask_row + pixel_x * mask_pixel + (run.first - c) * operand_;
                    vector.tail = last && c + count == l.from.channels && &run == &runs.back();
                    AddJobs(task.work, product, vector, nest, tag);
                  }
                  rx = rx.Within(rx.begin + sets * of_set, rx.count - sets * of_set);
                }
              }
            }
          }
        }
        if (last) AddPatchStores(task.stores, dx, to, c, count, out_pitch, results, tag);
        AddTask(std::move(task));
      }
    });
  }
}

}  // namespace vaultrain
