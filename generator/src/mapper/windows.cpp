// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Convolutions: matrix products whose rows are windows of images, formed by the loops of the array.
//
// Images lie in memory as rows of channels (Raster), with their zeros around them. A band of image
// rows is loaded once; the loops of a COMPUTE then walk its windows:
//
//   FF  Y[pixel][o]        = X[pixel + tap][c] W[o][tap][c]        depth: channels, taps
//   BP  dX[pixel][c]       = dZ[pixel - tap][o] W[o][tap][c]       depth: outputs, taps of a phase
//   UP  dW[o][tap][c]     += dZ[pixel][o] X[pixel + tap][c]        depth: samples, pixels
//
// BP of a stride goes phase by phase: pixels that are equal modulo the stride see the same taps. UP
// takes both operands transposed, so that the samples of a pixel make a word and the windows of
// neighbouring taps are whole words apart; its sums of several bands and groups add up in the
// scratchpad, in fp32.
//
// Over several nodes each has its samples: weights come from their owners, and gradients of weights
// are summed at them.

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "mapper/mapping.h"
#include "mapper/windows.h"
#include "vaultrain/error.h"

namespace vaultrain {

using isa::Aux;
using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

namespace {

std::vector<TapPhase> PhasesOf(int64_t size, int64_t kernel, int64_t stride, int64_t dilation,
                               int64_t pad) {
  std::vector<TapPhase> phases;
  const int64_t step = stride / std::gcd(stride, dilation);
  for (int64_t at = 0; at < std::min(stride, size); ++at) {
    for (int64_t k = 0; k < std::min(step, kernel); ++k) {
      const int64_t distance = at + pad - k * dilation;
      if (distance % stride != 0) continue;
      phases.push_back({at, CeilDiv(size - at, stride), k, CeilDiv(kernel - k, step), step,
                        distance / stride, step * dilation / stride});
      break;
    }
  }
  return phases;
}

// How much of an axis a run of outputs sees.
int64_t Reach(int64_t outputs, int64_t kernel, int64_t stride, int64_t dilation) {
  return (outputs - 1) * stride + (kernel - 1) * dilation + 1;
}

// Without loops that run once; neighbours that step alike become one. `keep` stays by itself.
std::vector<Loop> Merged(const std::vector<Loop>& loops, size_t keep, size_t* kept) {
  std::vector<Loop> merged;
  bool open = false;
  for (size_t i = 0; i < loops.size(); ++i) {
    const Loop& loop = loops[i];
    if (loop.count == 1) continue;
    if (i == keep) {
      if (kept != nullptr) *kept = merged.size();
      merged.push_back(loop);
      open = false;
      continue;
    }
    if (open) {
      Loop& last = merged.back();
      const auto follows = [&](int64_t Loop::*step) {
        return loop.*step == last.count * (last.*step);
      };
      if (follows(&Loop::a) && follows(&Loop::b) && follows(&Loop::out) && follows(&Loop::aux)) {
        last.count *= loop.count;
        continue;
      }
    }
    merged.push_back(loop);
    open = true;
  }
  return merged;
}

constexpr size_t kNone = ~size_t{0};

// How the rows of B are cut: columns of results that are stored at once, and those whose rows of B
// lie in the scratchpad at once.
struct Cut {
  int64_t chunk = 0, part = 0;
};

// Chunks begin on accesses of memory and keep their B for all bands; where even the least of them
// is too long, its parts come anew for each band.
Cut CutColumns(int64_t columns, int64_t pitch, int64_t room, int64_t least) {
  constexpr int64_t kStep = isa::kAccessBytes / 2;
  Cut cut{columns, 0};
  while (cut.chunk > kStep && cut.chunk * pitch > room) cut.chunk = RoundUp(cut.chunk / 2, kStep);
  cut.part = cut.chunk;
  while (cut.part > least && cut.part * pitch > room) cut.part = RoundUp(cut.part / 2, least);
  return cut;
}

// The loops of COMPUTE, which knows nothing of results, and those of VECTOR, which knows only them.
std::vector<Loop> OfOperands(std::vector<Loop> loops) {
  for (Loop& loop : loops) loop.out = loop.aux = 0;
  return Merged(loops, kNone, nullptr);
}

}  // namespace

std::vector<TapPhase> RowPhases(const TrainingLayer& l) {
  return PhasesOf(l.from.height, l.window.kernel_h, l.window.stride_h, l.window.dilation_h,
                  l.window.pad_top);
}

std::vector<TapPhase> ColumnPhases(const TrainingLayer& l) {
  return PhasesOf(l.from.width, l.window.kernel_w, l.window.stride_w, l.window.dilation_w,
                  l.window.pad_left);
}

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

// Where it saves the array a quarter of its work.
bool Mapper::UnfoldsInput() const {
  const TrainingLayer& l = graph_.layers.front();
  return l.kind == LayerKind::kLinear && !l.IsFlat() && l.to.pixels() > 1 &&
         4 * l.window.taps() * KWords(l.from.channels) > 5 * KWords(l.in);
}

std::vector<int32_t> Mapper::InputSource() const {
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
            source.push_back(
                inside ? static_cast<int32_t>((c * l.from.height + from_y) * l.from.width + from_x)
                       : -1);
          }
        }
      }
    }
  }
  return source;
}

bool Mapper::IsWindowed(const TrainingOp& op) const {
  return graph_.layers[op.layer].kind == LayerKind::kLinear && !Mapped(op.layer).IsFlat();
}

// With the zeros around it that FF or BP look at.
Raster Mapper::RasterFor(size_t graph_tensor) const {
  const int tensor = static_cast<int>(graph_tensor);
  Raster r;
  r.image = graph_.tensors[graph_tensor].image;
  if (tensor == graph_.input && UnfoldsInput()) r.image = Mapped(0).from;
  r.samples = word_elements_;
  r.groups = CeilDiv(local_batch_, r.samples);
  for (const TrainingOp& op : graph_.ops) {
    if (op.kind == TrainingOpKind::kLinearForward && op.Tensor(Role::kX) == tensor) {
      const TrainingLayer l = Mapped(op.layer);
      const Window& w = l.window;
      r.top = w.pad_top;
      r.left = w.pad_left;
      r.bottom = std::max<int64_t>(
          0, Reach(l.to.height, w.kernel_h, w.stride_h, w.dilation_h) - w.pad_top - l.from.height);
      r.right = std::max<int64_t>(
          0, Reach(l.to.width, w.kernel_w, w.stride_w, w.dilation_w) - w.pad_left - l.from.width);
    }
    const bool pool = op.kind == TrainingOpKind::kPoolBackward;
    if ((op.kind == TrainingOpKind::kLinearBackward && op.Tensor(Role::kDz) == tensor) ||
        (pool && (op.Tensor(Role::kDz) == tensor || op.Tensor(Role::kIndex) == tensor))) {
      const TrainingLayer l = Mapped(op.layer);
      for (const TapPhase& p : RowPhases(l)) {
        r.top = std::max(r.top, -p.First(0));
        r.bottom = std::max(r.bottom, p.Last(p.count) - (l.to.height - 1));
      }
      for (const TapPhase& p : ColumnPhases(l)) {
        r.left = std::max(r.left, -p.First(0));
        r.right = std::max(r.right, p.Last(p.count) - (l.to.width - 1));
      }
    }
  }
  return r;
}

// ---- weights

// Rows of the weights, and rows of zeros up to a whole tile of the array.
Load Mapper::GatherWeights(int layer, int w, int64_t row, int64_t rows, int64_t pitch, int buffer,
                           int tag) const {
  const LayerPlan& plan = plan_[layer];
  const int parts = grid_.batch.parts;
  std::vector<Piece> pieces;
  for (int64_t at = row; at < row + rows;) {
    const int64_t b = at / plan.block;
    const int64_t count = std::min(row + rows, (b + 1) * plan.block) - at;
    const int64_t pad = at + count == row + rows ? RoundUp(rows, v_.array.cols) - rows : 0;
    Piece piece{static_cast<int>(b % parts), (at - row) * pitch, count + pad, pitch, {}};
    piece.loads.push_back(LoadPlain(w, b / parts * plan.block + at % plan.block, count, 0,
                                    local_[w].cols, pad, pitch, Converts(local_[w]), buffer, tag,
                                    piece.offset));
    pieces.push_back(std::move(piece));
    at += count;
  }
  return Gather(Axis::kBatch, buffer, pitch, std::move(pieces), tag);
}

// Rows are channels, each with some rows of taps of all outputs: [channel][ky][kx][o].
Load Mapper::GatherTransposed(int layer, int w, int64_t channel, int64_t channels, int64_t ky,
                              int64_t tap_rows, int64_t pitch, int buffer, int tag) const {
  const TrainingLayer l = Mapped(layer);
  const LayerPlan& plan = plan_[layer];
  const int parts = grid_.batch.parts;
  std::vector<Piece> pieces;
  for (int64_t b = 0; b < plan.Blocks(); ++b) {
    const int64_t pad =
        b + 1 == plan.Blocks() ? KWords(l.to.channels) * word_elements_ - l.to.channels : 0;
    const int64_t first = ky * l.window.kernel_w;
    for (int64_t tap = first; tap < first + tap_rows * l.window.kernel_w; ++tap) {
      Piece piece{static_cast<int>(b % parts),
                  (tap - first) * KWords(l.to.channels) * word_ + b * plan.block * operand_,
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

// ---- jobs

void Mapper::AddJobs(std::vector<Step>& work, const ComputeSpec& spec, const VectorSpec& results,
                     Nest nest, int tag) const {
  using isa::kLoops;
  std::vector<Loop> loops = OfOperands(nest.rows);
  const size_t b_level = std::max<size_t>(loops.size(), 1);
  loops.resize(b_level);
  const std::vector<Loop> depth = OfOperands(nest.depth);
  const size_t store_level = b_level + depth.size();
  loops.insert(loops.end(), depth.begin(), depth.end());
  const std::vector<Loop> sets = OfOperands(nest.sets);
  loops.insert(loops.end(), sets.begin(), sets.end());

  std::vector<Loop> drained = nest.rows;
  size_t tail = kNone;
  for (auto* of : {&nest.rows, &nest.sets}) {
    for (Loop& loop : *of) loop.aux = results.aux < 0 ? 0 : loop.aux;
  }
  for (Loop& loop : drained) {
    loop.a = loop.b = 0;
    if (results.aux < 0) loop.aux = 0;
  }
  drained = Merged(drained, kNone, nullptr);
  const size_t pop_level = std::max<size_t>(drained.size(), 1);
  drained.resize(pop_level);
  std::vector<Loop> drained_sets = nest.sets;
  for (Loop& loop : drained_sets) loop.a = loop.b = 0;
  for (const Loop& loop : Merged(drained_sets, nest.columns, &tail)) drained.push_back(loop);
  if (tail != kNone) tail += pop_level;

  if (loops.size() > kLoops || drained.size() > kLoops ||
      (tail == kNone && results.tail && drained.size() == kLoops)) {
    // One job for each iteration of the outermost loop.
    Loop outer;
    while (outer.count == 1) {
      if (nest.sets.empty()) throw Error(ExitStatus::kInternal, "a nest has too many loops");
      outer = nest.sets.back();
      nest.sets.pop_back();
    }
    if (nest.columns >= nest.sets.size()) {
      throw Error(ExitStatus::kInternal, "a nest has too many loops below its columns");
    }
    for (int64_t i = 0; i < outer.count; ++i) {
      ComputeSpec one = spec;
      one.a_offset += i * outer.a;
      one.b_offset += i * outer.b;
      VectorSpec part = results;
      part.out_offset.base += i * outer.out;
      part.aux_offset += i * outer.aux;
      AddJobs(work, one, part, nest, tag);
    }
    return;
  }
  loops.resize(kLoops);
  drained.resize(kLoops);
  const size_t tail_loop = !results.tail ? isa::kNoTail : tail != kNone ? tail : kLoops - 1;

  Step compute;
  compute.engine = Engine::kCompute;
  compute.buffers = {{spec.a, false}, {spec.b, false}};
  compute.make = [=, this](const Place&) {
    Descriptor d(Opcode::kCompute);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kFirst, 1);
    d.Set(FieldId::kLast, 1);
    d.Set(FieldId::kBLevel, static_cast<int64_t>(b_level));
    d.Set(FieldId::kStoreLevel, static_cast<int64_t>(store_level));
    std::array<int64_t, kLoops> bounds{}, b_bounds{}, a_steps{}, b_steps{};
    for (size_t l = 0; l < kLoops; ++l) {
      bounds[l] = loops[l].count;
      b_bounds[l] = l < b_level ? 1 : loops[l].count;
      a_steps[l] = loops[l].a / word_;
      b_steps[l] = l < b_level ? 0 : loops[l].b / word_;
    }
    const auto a_inc = isa::Increments(bounds, a_steps);
    const auto b_inc = isa::Increments(b_bounds, b_steps);
    for (int l = 0; l < kLoops; ++l) {
      d.Set(FieldId::kBound, bounds[l], l);
      d.Set(FieldId::kAInc, bounds[l] > 1 ? a_inc[l] : 0, l);
      d.Set(FieldId::kBInc, b_bounds[l] > 1 ? b_inc[l] : 0, l);
    }
    d.Set(FieldId::kABase, (s_->AddressOf(spec.a) + spec.a_offset) / word_);
    d.Set(FieldId::kBBase, (s_->AddressOf(spec.b) + spec.b_offset) / word_);
    d.Set(FieldId::kBColInc, spec.b_pitch / word_);
    return d;
  };
  work.push_back(std::move(compute));

  Step vector;
  vector.engine = Engine::kVector;
  vector.buffers = {{results.out, true}};
  if (results.aux >= 0) vector.buffers.push_back({results.aux, false});
  vector.make = [=, this](const Place&) {
    const bool has_aux = results.aux >= 0;
    Descriptor d(Opcode::kVector);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kPopLevel, static_cast<int64_t>(pop_level));
    d.Set(FieldId::kAuxKind, static_cast<int64_t>(has_aux ? results.aux_kind : Aux::kNone));
    d.Set(FieldId::kRelu, results.relu);
    d.Set(FieldId::kOutFp32, results.out_bytes == 4 && operand_ == 2);
    d.Set(FieldId::kTailLoop, static_cast<int64_t>(tail_loop));
    std::array<int64_t, kLoops> bounds{}, out_steps{}, aux_steps{};
    for (size_t l = 0; l < kLoops; ++l) {
      bounds[l] = drained[l].count;
      out_steps[l] = drained[l].out;
      aux_steps[l] = drained[l].aux;
    }
    const auto out_inc = isa::Increments(bounds, out_steps);
    const auto aux_inc = isa::Increments(bounds, aux_steps);
    for (int l = 0; l < kLoops; ++l) {
      d.Set(FieldId::kVBound, bounds[l], l);
      d.Set(FieldId::kOutInc, bounds[l] > 1 ? out_inc[l] : 0, l);
      d.Set(FieldId::kAuxInc, bounds[l] > 1 && has_aux ? aux_inc[l] : 0, l);
    }
    d.Set(FieldId::kOutBase, s_->AddressOf(results.out) + results.out_offset.base);
    d.Set(FieldId::kAuxBase, has_aux ? s_->AddressOf(results.aux) + results.aux_offset : 0);
    return d;
  };
  work.push_back(std::move(vector));
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
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int weights = tensor_of_[op.Tensor(Role::kW)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int bias = op.Tensor(Role::kB) < 0 ? -1 : tensor_of_[op.Tensor(Role::kB)];
  const Raster& rx = raster_.at(x);
  const Raster& ry = raster_.at(y);
  const ProgramTensor& out = local_[y];
  const int64_t cols = v_.array.cols;
  const int64_t samples = rx.samples;
  const int64_t a_pitch = OperandPitch({x, false}, l.from.channels);
  const int64_t b_pitch = OperandPitch({weights, false}, local_[weights].cols);
  const int64_t a_row = rx.Width() * samples * a_pitch;

  const Cut cut = CutColumns(l.to.channels, b_pitch, Scratchpad(budget) / 3, cols);
  const int64_t chunk = cut.chunk;
  const int64_t out_pitch = OutPitch(out, chunk);
  const int64_t out_row = l.to.width * samples * out_pitch;
  auto reach = [&](int64_t rows) { return Reach(rows, w.kernel_h, w.stride_h, w.dilation_h); };
  int64_t band = l.to.height;
  while (band > 1 &&
         2 * (reach(band) * a_row + band * out_row) + RoundUp(cut.part, cols) * b_pitch >
             Scratchpad(budget)) {
    band = CeilDiv(band, 2);
  }
  const int64_t together = SamplesOfSet(samples, v_.AccHalfDepth());
  const int64_t pixels = PixelsOfSet(l.to.width, samples, v_.AccHalfDepth());
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "{} stationary in the array, windows of {} streamed; bands of {} rows by {} samples, {} "
        "outputs",
        local_[weights].name, local_[x].name, band, samples, chunk);
  }
  for (int64_t n = 0; n < l.to.channels; n += chunk) {
    const int64_t count = std::min(chunk, l.to.channels - n);
    const int64_t bias_pitch = RoundUp(RoundUp(count * 4, kAccess), word_);
    const int biases = bias < 0 ? -1 : s_->AddBuffer(static_cast<uint32_t>(bias_pitch), true);
    std::vector<Load> shared;
    if (bias >= 0) {
      Piece piece{0, 0, 1, bias_pitch, {}};
      piece.loads.push_back(LoadPlain(bias, 0, 1, n, count, 0, bias_pitch, false, biases, tag));
      shared.push_back(Gather(Axis::kBatch, biases, bias_pitch, {piece}, tag));
    }
    int b = -1;
    for (int64_t g = 0; g < rx.groups; ++g) {
      for (int64_t y0 = 0; y0 < l.to.height; y0 += band) {
        const int64_t rows = std::min(band, l.to.height - y0);
        const int a = s_->AddBuffer(static_cast<uint32_t>(reach(rows) * a_row), false);
        const int results = s_->AddBuffer(static_cast<uint32_t>(rows * out_row), false);
        shared.emplace_back(LoadPlain(x, rx.Row(g, y0 * w.stride_h - w.pad_top, -rx.left),
                                      reach(rows) * rx.Width() * samples, 0, l.from.channels, 0,
                                      a_pitch, false, a, tag));
        for (int64_t from = 0; from < count; from += cut.part) {
          const int64_t outputs = std::min(cut.part, count - from);
          const bool last = from + outputs == count;
          Task task;
          task.loads = std::exchange(shared, {});
          if (b < 0 || outputs < count) {
            b = s_->AddBuffer(static_cast<uint32_t>(RoundUp(outputs, cols) * b_pitch),
                              outputs == count);
            task.loads.push_back(
                GatherWeights(op.layer, weights, n + from, outputs, b_pitch, b, tag));
          }
          VectorSpec vector;
          vector.out = results;
          vector.out_bytes = BytesOf(out);
          vector.relu = op.relu;
          vector.tail = last && n + count == l.to.channels;
          if (bias >= 0) {
            vector.aux = biases;
            vector.aux_kind = Aux::kAdd;
            vector.aux_offset = from * 4;
          }
          for (int64_t x0 = 0; x0 < l.to.width;) {
            // As many whole sets as there are, then what is left of the row.
            const int64_t left = l.to.width - x0;
            const int64_t of_set = std::min(pixels, left);
            const int64_t sets = left / of_set;
            const int64_t step = w.stride_w * samples * a_pitch;
            Nest nest;
            nest.rows = {{together, a_pitch, 0, out_pitch, 0},
                         {of_set, step, 0, samples * out_pitch, 0}};
            nest.depth = {{KWords(l.from.channels), word_, word_},
                          {w.kernel_w, w.dilation_w * samples * a_pitch, TapWidth(l) * operand_},
                          {w.kernel_h, w.dilation_h * a_row, w.kernel_w * TapWidth(l) * operand_}};
            nest.sets = {
                {CeilDiv(outputs, cols), 0, cols * b_pitch, cols * vector.out_bytes, cols * 4},
                {samples / together, together * a_pitch, 0, together * out_pitch, 0},
                {sets, of_set * step, 0, of_set * samples * out_pitch, 0},
                {rows, w.stride_h * a_row, 0, out_row, 0}};
            ComputeSpec product;
            product.a = a;
            product.b = b;
            product.a_offset = (rx.left - w.pad_left) * samples * a_pitch + x0 * step;
            product.b_pitch = b_pitch;
            vector.out_offset = from * vector.out_bytes + x0 * samples * out_pitch;
            AddJobs(task.work, product, vector, nest, tag);
            x0 += sets * of_set;
          }
          if (last) {
            AddBandStores(task.stores, y, ry, g, y0, rows, n, count, out_pitch, results, tag);
          }
          s_->AddTask(std::move(task));
        }
      }
    }
  }
}

// Rows of an image without the zeros beside them.
void Mapper::AddBandStores(std::vector<Step>& stores, int tensor, const Raster& raster,
                           int64_t group, int64_t y, int64_t rows, int64_t col, int64_t cols,
                           int64_t pitch, int buffer, int tag) const {
  const int64_t of_row = raster.image.width * raster.samples;
  const bool whole = raster.left + raster.right == 0;
  for (int64_t r = 0; r < rows; r += whole ? rows : 1) {
    stores.push_back(StorePlain(tensor, raster.Row(group, y + r, 0), of_row * (whole ? rows : 1),
                                col, cols, pitch, buffer, tag, r * of_row * pitch));
  }
}

void Mapper::AddBandLoads(std::vector<Load>& loads, int tensor, const Raster& raster, int64_t group,
                          int64_t y, int64_t rows, int64_t col, int64_t cols, int64_t pitch,
                          int buffer, int tag) const {
  const int64_t of_row = raster.image.width * raster.samples;
  const bool whole = raster.left + raster.right == 0;
  Load load;
  for (int64_t r = 0; r < rows; r += whole ? rows : 1) {
    load.steps.push_back(LoadPlain(tensor, raster.Row(group, y + r, 0), of_row * (whole ? rows : 1),
                                   col, cols, 0, pitch, false, buffer, tag, r * of_row * pitch));
  }
  loads.push_back(std::move(load));
}

// ---- back-propagation

void Mapper::AddWindowBackward(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer l = Mapped(op.layer);
  const Window& w = l.window;
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int weights = tensor_of_[op.Tensor(Role::kW)];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int dx = tensor_of_[op.Tensor(Role::kDx)];
  const Raster& rz = raster_.at(dz);
  const Raster& rx = raster_.at(x);
  const Raster& rd = raster_.at(dx);
  const ProgramTensor& out = local_[dx];
  const int64_t cols = v_.array.cols;
  const int64_t samples = rz.samples;
  const int64_t a_pitch = OperandPitch({dz, false}, l.to.channels);
  const int64_t a_row = rz.Width() * samples * a_pitch;
  const int64_t k_words = KWords(l.to.channels);
  // Behind a single row of outputs each row of dX sees one row of taps; where all of them are too
  // long, they come one by one.
  const int64_t least = std::max(cols, kAccess / 4);
  const int64_t tap_row = w.kernel_w * k_words * word_;
  const bool by_rows = l.to.height == 1 && least * w.kernel_h * tap_row > Scratchpad(budget) / 3;
  const int64_t b_pitch = (by_rows ? 1 : w.kernel_h) * tap_row;
  const std::vector<TapPhase> row_phases = RowPhases(l);
  const std::vector<TapPhase> column_phases = ColumnPhases(l);
  // Pixels that no window sees have no gradient; their zeros are in memory from the beginning.
  auto covered = [](const std::vector<TapPhase>& phases, int64_t size) {
    int64_t count = 0;
    for (const TapPhase& p : phases) count += p.count;
    return count == size;
  };
  const bool all_covered =
      covered(row_phases, l.from.height) && covered(column_phases, l.from.width);

  const Cut cut =
      CutColumns(l.from.channels, b_pitch, Scratchpad(budget) / 3, std::max(cols, kAccess / 4));
  const int64_t chunk = cut.chunk;
  const int64_t out_pitch = OutPitch(out, chunk);
  const int64_t mask_pitch = OutPitch(local_[x], chunk);
  const int64_t out_row = l.from.width * samples * out_pitch;
  const int64_t mask_row = l.from.width * samples * mask_pitch;
  // Rows of dZ that a band of dX sees.
  auto seen = [&](int64_t y0, int64_t rows) {
    std::pair<int64_t, int64_t> range{rz.image.height, -rz.image.height};
    for (const TapPhase& p : row_phases) {
      const auto [t0, t1] = p.Between(y0, rows, w.stride_h);
      if (t1 <= t0) continue;
      range.first = std::min(range.first, p.First(t0));
      range.second = std::max(range.second, p.Last(t1) + 1);
    }
    return range;
  };
  const int64_t together = SamplesOfSet(samples, v_.AccHalfDepth());
  int64_t band = by_rows ? 1 : l.from.height;
  while (band > 1) {
    const auto range = seen(0, band);
    const int64_t need =
        2 * ((range.second - range.first) * a_row + band * (out_row + (op.mask ? mask_row : 0))) +
        RoundUp(cut.part, cols) * b_pitch;
    if (need <= Scratchpad(budget)) break;
    band = CeilDiv(band, 2);
  }
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "{} transposed stationary in the array, windows of {} streamed in {} phases; bands of {} "
        "rows by {} samples, {} channels",
        local_[weights].name, local_[dz].name, row_phases.size() * column_phases.size(), band,
        samples, chunk);
  }
  for (int64_t c = 0; c < l.from.channels; c += chunk) {
    const int64_t count = std::min(chunk, l.from.channels - c);
    std::vector<Load> shared;
    int b = -1;
    for (int64_t g = 0; g < rz.groups; ++g) {
      for (int64_t y0 = 0; y0 < l.from.height; y0 += band) {
        const int64_t rows = std::min(band, l.from.height - y0);
        const auto range = seen(y0, rows);
        if (range.first >= range.second) continue;
        const int64_t z_rows = range.second - range.first;
        const int a = s_->AddBuffer(static_cast<uint32_t>(z_rows * a_row), false);
        const int results = s_->AddBuffer(static_cast<uint32_t>(rows * out_row), false);
        const int mask =
            op.mask ? s_->AddBuffer(static_cast<uint32_t>(rows * mask_row), false) : -1;
        shared.emplace_back(LoadPlain(dz, rz.Row(g, range.first, -rz.left),
                                      z_rows * rz.Width() * samples, 0, l.to.channels, 0, a_pitch,
                                      false, a, tag));
        if (op.mask) AddBandLoads(shared, x, rx, g, y0, rows, c, count, mask_pitch, mask, tag);
        if (!all_covered) {
          AddBandLoads(shared, dx, rd, g, y0, rows, c, count, out_pitch, results, tag);
        }
        for (int64_t first = 0; first < count; first += cut.part) {
          const int64_t channels = std::min(cut.part, count - first);
          const int64_t padded = RoundUp(channels, cols);
          const bool last = first + channels == count;
          Task task;
          task.loads = std::exchange(shared, {});
          int64_t ky = 0;
          for (const TapPhase& py : row_phases) {
            if (by_rows && py.at == y0) ky = py.tap;
          }
          if (b < 0 || channels < count || by_rows) {
            b = s_->AddBuffer(static_cast<uint32_t>(padded * b_pitch),
                              channels == count && !by_rows);
            task.loads.push_back(GatherTransposed(op.layer, weights, c + first, padded, ky,
                                                  by_rows ? 1 : w.kernel_h, b_pitch, b, tag));
          }
          VectorSpec vector;
          vector.out = results;
          vector.out_bytes = BytesOf(out);
          vector.tail = last && c + count == l.from.channels;
          vector.aux = mask;
          vector.aux_kind = Aux::kMask;
          for (const TapPhase& py : row_phases) {
            const auto [t0, t1] = py.Between(y0, rows, w.stride_h);
            if (t1 <= t0) continue;
            for (const TapPhase& px : column_phases) {
              const int64_t pixels = PixelsOfSet(px.count, samples, v_.AccHalfDepth());
              for (int64_t x0 = 0; x0 < px.count;) {
                const int64_t left = px.count - x0;
                const int64_t of_set = std::min(pixels, left);
                const int64_t sets = left / of_set;
                const int64_t step = samples * a_pitch;
                const int64_t out_step = w.stride_w * samples * out_pitch;
                const int64_t mask_step = w.stride_w * samples * mask_pitch;
                Nest nest;
                nest.rows = {{together, a_pitch, 0, out_pitch, mask_pitch},
                             {of_set, step, 0, out_step, mask_step}};
                nest.depth = {{k_words, word_, word_},
                              {px.taps, -px.back * step, px.tap_step * k_words * word_},
                              {py.taps, -py.back * a_row, py.tap_step * tap_row}};
                nest.sets = {
                    {padded / cols, 0, cols * b_pitch, cols * vector.out_bytes, cols * operand_},
                    {samples / together, together * a_pitch, 0, together * out_pitch,
                     together * mask_pitch},
                    {sets, of_set * step, 0, of_set * out_step, of_set * mask_step},
                    {t1 - t0, a_row, 0, w.stride_h * out_row, w.stride_h * mask_row}};
                ComputeSpec product;
                product.a = a;
                product.b = b;
                product.a_offset =
                    (py.from + t0 - range.first) * a_row + (px.from + x0 + rz.left) * step;
                product.b_offset = (py.tap - ky) * tap_row + px.tap * k_words * word_;
                product.b_pitch = b_pitch;
                const int64_t pixel_y = py.at + t0 * w.stride_h - y0;
                const int64_t pixel_x = px.at + x0 * w.stride_w;
                vector.out_offset =
                    pixel_y * out_row + pixel_x * samples * out_pitch + first * vector.out_bytes;
                vector.aux_offset =
                    pixel_y * mask_row + pixel_x * samples * mask_pitch + first * operand_;
                AddJobs(task.work, product, vector, nest, tag);
                x0 += sets * of_set;
              }
            }
          }
          if (last) {
            AddBandStores(task.stores, dx, rd, g, y0, rows, c, count, out_pitch, results, tag);
          }
          s_->AddTask(std::move(task));
        }
      }
    }
  }
}

// ---- weight update

// Sums of the node become the parameter after the step at its owner, or the stored gradient.
void Mapper::AddWindowStep(int parameter, int64_t row, int64_t rows, int64_t col, int64_t cols,
                           int sums, int64_t sums_offset, int64_t sums_pitch, int owner,
                           bool take_step, int tag) {
  const int64_t padded = RoundUp(cols, v_.array.cols);
  const int64_t pitch = RoundUp(padded * 4, std::max(kAccess, word_));
  const int own = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
  Task task;
  VectorSpec values;
  values.out = own;
  values.out_pitch = pitch;
  values.scale = take_step;
  if (take_step) {
    task.loads.emplace_back(
        Only(Axis::kBatch, owner,
             LoadPlain(parameter, row, rows, col, cols, 0, pitch, false, own, tag)));
    values.aux = own;
    values.aux_part = owner;
    values.aux_kind = Aux::kAdd;
    values.aux_pitch = pitch;
  }
  task.work.push_back(Elements(sums, sums_offset, sums_pitch, rows, padded, values, tag));
  int sum = own;
  if (grid_.batch.parts > 1) {
    sum = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
    task.work.push_back(Reduce(Axis::kBatch, owner, own, 0, pitch, rows, padded * 4, sum, tag));
    task.work.push_back(Summed(Axis::kBatch, owner, sum, tag));
  }
  const int target = take_step ? parameter : gradient_of_.at(parameter);
  task.stores.push_back(
      Only(Axis::kBatch, owner, StorePlain(target, row, rows, col, cols, pitch, sum, tag)));
  s_->AddTask(std::move(task));
}

void Mapper::AddWindowUpdate(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer l = Mapped(op.layer);
  const Window& w = l.window;
  const LayerPlan& plan = plan_[op.layer];
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int weights = tensor_of_[op.Tensor(Role::kW)];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int bias = op.Tensor(Role::kB) < 0 ? -1 : tensor_of_[op.Tensor(Role::kB)];
  const Raster& rz = raster_.at(dz);
  const Raster& rx = raster_.at(x);
  const int64_t cols = v_.array.cols;
  const int64_t samples = rz.samples;
  const int64_t pixel = samples * operand_;  // of one channel, a word
  const int64_t tap_bytes = TapWidth(l) * 4;
  const int64_t channels = KWords(l.from.channels) * word_elements_;

  // Sums of a slice of outputs and of some rows of taps stay in the scratchpad while all samples
  // go by.
  int64_t slice = std::min<int64_t>(l.to.channels, v_.AccHalfDepth());
  int64_t tap_rows = w.kernel_h;
  auto sums_pitch = [&] {
    return RoundUp(tap_rows * w.kernel_w * tap_bytes, std::max(kAccess, word_));
  };
  while (slice * sums_pitch() > Scratchpad(budget) / 4 && (slice > 32 || tap_rows > 1)) {
    if (slice > 32) {
      slice = RoundUp(slice / 2, 32);
    } else {
      tap_rows = CeilDiv(tap_rows, 2);
    }
  }
  if (slice < l.to.channels) slice = slice / 32 * 32;
  auto reach = [&](int64_t rows) { return Reach(rows, tap_rows, w.stride_h, w.dilation_h); };
  const int64_t a_row = rz.Width() * pixel;
  const int64_t b_row = rx.Width() * pixel;
  int64_t band = l.to.height;
  while (band > 1 && 2 * (band * a_row * RoundUp(slice, cols) + reach(band) * b_row * channels) +
                             slice * sums_pitch() >
                         Scratchpad(budget)) {
    band = CeilDiv(band, 2);
  }
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "windows of {} transposed stationary in the array, {} transposed streamed; bands of {} "
        "rows by {} samples, {} outputs by {} rows of taps summed in the scratchpad",
        local_[x].name, local_[dz].name, band, samples, slice, tap_rows);
  }
  for (int64_t o = 0; o < l.to.channels; o += slice) {
    const int64_t outputs = std::min(slice, l.to.channels - o);
    const int64_t padded = RoundUp(outputs, cols);
    for (int64_t ky = 0; ky < w.kernel_h; ky += tap_rows) {
      const int64_t taps_y = std::min(tap_rows, w.kernel_h - ky);
      const int64_t pitch = sums_pitch();
      const bool with_bias = bias >= 0 && ky == 0;
      const int sums = s_->AddBuffer(static_cast<uint32_t>(outputs * pitch), true);
      const int64_t bias_pitch = RoundUp(padded * 4, std::max(kAccess, word_));
      const int bias_sums = with_bias ? s_->AddBuffer(static_cast<uint32_t>(bias_pitch), true) : -1;
      const int ones =
          with_bias ? s_->AddBuffer(static_cast<uint32_t>(std::max(kAccess, word_)), true) : -1;
      bool first = true;
      for (int64_t g = 0; g < rz.groups; ++g) {
        for (int64_t y0 = 0; y0 < l.to.height; y0 += band) {
          const int64_t rows = std::min(band, l.to.height - y0);
          const int64_t x_rows = Reach(rows, taps_y, w.stride_h, w.dilation_h);
          const int64_t a_pitch = rows * a_row;
          const int64_t b_pitch = x_rows * b_row;
          const int a = s_->AddBuffer(static_cast<uint32_t>(padded * a_pitch), false);
          const int b = s_->AddBuffer(static_cast<uint32_t>(channels * b_pitch), false);
          Task task;
          Load dz_load, x_load;
          dz_load.steps = LoadTransposed(dz, rz.Row(g, y0, -rz.left), rows * rz.Width() * samples,
                                         o, padded, 0, a_pitch, a, 0, tag);
          x_load.steps = LoadTransposed(
              x, rx.Row(g, y0 * w.stride_h + ky * w.dilation_h - w.pad_top, -rx.left),
              x_rows * rx.Width() * samples, 0, channels, 0, b_pitch, b, 0, tag);
          task.loads.push_back(std::move(dz_load));
          task.loads.push_back(std::move(x_load));
          VectorSpec vector;
          vector.out = sums;
          vector.aux = first ? -1 : sums;
          vector.aux_kind = Aux::kAdd;
          auto same = [](Loop loop) {
            loop.aux = loop.out;
            return loop;
          };
          Nest nest;
          nest.rows = {same({outputs, a_pitch, 0, pitch})};
          nest.depth = {{l.to.width, pixel, w.stride_w * pixel}, {rows, a_row, w.stride_h * b_row}};
          nest.sets = {same({channels / cols, 0, cols * b_pitch, cols * 4}),
                       same({w.kernel_w, 0, w.dilation_w * pixel, tap_bytes}),
                       same({taps_y, 0, w.dilation_h * b_row, w.kernel_w * tap_bytes})};
          ComputeSpec product;
          product.a = a;
          product.b = b;
          product.a_offset = rz.left * pixel;
          product.b_offset = (rx.left - w.pad_left) * pixel;
          product.b_pitch = b_pitch;
          AddJobs(task.work, product, vector, nest, tag);
          if (with_bias) {
            if (first) {
              task.loads.emplace_back(LoadPlain(ones_, 0, 1, 0, word_elements_, 0,
                                                std::max(kAccess, word_), false, ones, tag));
            }
            vector.out = bias_sums;
            vector.aux = first ? -1 : bias_sums;
            Nest of_bias;
            of_bias.depth = {{l.to.width, 0, pixel}, {rows, 0, a_row}};
            of_bias.sets = {same({padded / cols, 0, cols * a_pitch, cols * 4})};
            ComputeSpec sum;
            sum.a = ones;
            sum.b = a;
            sum.b_offset = rz.left * pixel;
            sum.b_pitch = a_pitch;
            AddJobs(task.work, sum, vector, of_bias, tag);
          }
          s_->AddTask(std::move(task));
          first = false;
        }
      }
      for (const bool take_step : {false, true}) {
        if (!take_step && !keep_gradients_) continue;
        const int64_t width = taps_y * w.kernel_w * TapWidth(l);
        // A step holds a block's rows twice; a few at a time leave room for the next sums.
        const int64_t most = std::max<int64_t>(1, Scratchpad(budget) / 16 / pitch);
        for (int64_t at = o; at < o + outputs;) {
          const int64_t block = at / plan.block;
          const int64_t count = std::min({most, o + outputs - at, (block + 1) * plan.block - at});
          AddWindowStep(weights, block / grid_.batch.parts * plan.block + at % plan.block, count,
                        ky * w.kernel_w * TapWidth(l), width, sums, (at - o) * pitch, pitch,
                        static_cast<int>(block % grid_.batch.parts), take_step, tag);
          at += count;
        }
        if (with_bias) {
          AddWindowStep(bias, 0, 1, o, outputs, bias_sums, 0, bias_pitch, 0, take_step, tag);
        }
      }
    }
  }
}

}  // namespace vaultrain
