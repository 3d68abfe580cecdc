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
    uses += op.phase == Phase::kFeedForward &&
            (op.Tensor(Role::kX) == graph_.input || op.Tensor(Role::kX2) == graph_.input);
  }
  return uses == 1 && l.kind == LayerKind::kLinear && !l.IsFlat() && l.to.pixels() > 1 &&
         4 * l.window.taps() * KWords(l.from.channels) > 5 * KWords(l.in);
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
    if (op.kind != TrainingOpKind::kLinearBackward || !IsWindowed(op) ||
        op.Tensor(Role::kDx) != static_cast<int>(graph_tensor)) {
      continue;
    }
    const TrainingLayer l = Mapped(op.layer);
    r.has_zeros = r.has_zeros || !AllSeen(InputPhases(RowsOf(l)), RowsOf(l)) ||
                  !AllSeen(InputPhases(ColumnsOf(l)), ColumnsOf(l));
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
  compute.cycles = 1;
  for (const auto& loop : loops) compute.cycles *= loop.count;
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

// ---- patches: pixels [x, x + pixels) of some rows of an image

void Mapper::AddPatchLoads(std::vector<Load>& loads, int tensor, const Patch& p, int64_t col,
                           int64_t cols, int64_t pitch, int buffer, int tag) const {
  const Raster& r = raster_.at(tensor);
  const bool whole = p.pixels == r.image.width;
  const int64_t of_row = p.pixels * r.samples;
  Load load;
  for (int64_t y = 0; y < p.rows; y += whole ? p.rows : 1) {
    load.steps.push_back(LoadPlain(tensor, r.Row(p.group, p.y + y, p.x),
                                   of_row * (whole ? p.rows : 1), col, cols, 0, pitch, false,
                                   buffer, tag, y * of_row * pitch));
  }
  loads.push_back(std::move(load));
}

// Transposed: rows of the buffer are channels, words the samples of a pixel.
void Mapper::AddTurnedLoads(std::vector<Load>& loads, int tensor, const Patch& p, int64_t col,
                            int64_t cols, int buffer, int tag) const {
  const Raster& r = raster_.at(tensor);
  const bool whole = p.pixels == r.image.width;
  const int64_t of_row = p.pixels * r.samples;
  const int64_t pitch = p.rows * of_row * operand_;
  Load load;
  for (int64_t y = 0; y < p.rows; y += whole ? p.rows : 1) {
    for (Step& step :
         LoadTransposed(tensor, r.Row(p.group, p.y + y, p.x), of_row * (whole ? p.rows : 1), col,
                        cols, 0, pitch, buffer, y * of_row * operand_, tag)) {
      load.steps.push_back(std::move(step));
    }
  }
  loads.push_back(std::move(load));
}

void Mapper::AddPatchStores(std::vector<Step>& stores, int tensor, const Patch& p, int64_t col,
                            int64_t cols, int64_t pitch, int buffer, int tag) const {
  const Raster& r = raster_.at(tensor);
  const bool whole = p.pixels == r.image.width;
  const int64_t of_row = p.pixels * r.samples;
  for (int64_t y = 0; y < p.rows; y += whole ? p.rows : 1) {
    stores.push_back(StorePlain(tensor, r.Row(p.group, p.y + y, p.x), of_row * (whole ? p.rows : 1),
                                col, cols, pitch, buffer, tag, y * of_row * pitch));
  }
}

// Rows first, for whole rows are one LOAD.
Tile Mapper::FitTile(int64_t rows, int64_t pixels, int64_t room,
                     const std::function<int64_t(const Tile&)>& bytes) {
  Tile tile{rows, pixels};
  while (2 * bytes(tile) > room) {
    if (tile.rows > 1) {
      tile.rows = CeilDiv(tile.rows, 2);
    } else if (tile.pixels > 1) {
      tile.pixels = CeilDiv(tile.pixels, 2);
    } else {
      break;
    }
  }
  return tile;
}

// ---- feed-forward

void Mapper::AddWindowForward(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer l = Mapped(op.layer);
  const Window& w = l.window;
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int weights = tensor_of_[op.Tensor(Role::kW)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int bias = op.Tensor(Role::kB) < 0 ? -1 : tensor_of_[op.Tensor(Role::kB)];
  const ProgramTensor& out = local_[y];
  const WindowAxis down = RowsOf(l);
  const WindowAxis across = ColumnsOf(l);
  const int64_t cols = v_.array.cols;
  const int64_t groups = raster_.at(x).groups;
  const int64_t samples = raster_.at(x).samples;
  const int64_t a_pitch = OperandPitch({x, false}, l.from.channels);
  const int64_t a_pixel = samples * a_pitch;
  const int64_t b_pitch = OperandPitch({weights, false}, local_[weights].cols);

  const Cut cut = CutColumns(l.to.channels, b_pitch, Scratchpad(budget) / 3, cols);
  const int64_t out_pitch = OutPitch(out, cut.chunk);
  const int64_t out_pixel = samples * out_pitch;
  const Tile tile =
      FitTile(l.to.height, l.to.width, Scratchpad(budget) - RoundUp(cut.part, cols) * b_pitch,
              [&](const Tile& t) {
                return down.MostSeen(t.rows) * across.MostSeen(t.pixels) * a_pixel +
                       t.rows * t.pixels * out_pixel;
              });
  const int64_t together = SamplesOfSet(samples, v_.AccHalfDepth());
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "{} stationary in the array, windows of {} streamed; tiles of {} x {} pixels by {} "
        "samples, "
        "{} outputs",
        local_[weights].name, local_[x].name, tile.rows, tile.pixels, samples, cut.chunk);
  }
  for (int64_t n = 0; n < l.to.channels; n += cut.chunk) {
    const int64_t count = std::min(cut.chunk, l.to.channels - n);
    const int64_t bias_pitch = RoundUp(RoundUp(count * 4, kAccess), word_);
    const int biases = bias < 0 ? -1 : s_->AddBuffer(static_cast<uint32_t>(bias_pitch), true);
    std::vector<Load> shared;
    if (bias >= 0) {
      Piece piece{0, 0, 1, bias_pitch, {}};
      piece.loads.push_back(LoadPlain(bias, 0, 1, n, count, 0, bias_pitch, false, biases, tag));
      shared.push_back(Gather(Axis::kBatch, biases, bias_pitch, {piece}, tag));
    }
    int b = -1;
    ForEachTile(groups, l.to.height, l.to.width, tile, [&](const Patch& to) {
      const auto [from_y, from_rows] = down.Seen(to.y, to.rows);
      const auto [from_x, from_pixels] = across.Seen(to.x, to.pixels);
      const int64_t a_row = from_pixels * a_pixel;
      const int64_t out_row = to.pixels * out_pixel;
      const int a = s_->AddBuffer(static_cast<uint32_t>(from_rows * a_row), false);
      const int results = s_->AddBuffer(static_cast<uint32_t>(to.rows * out_row), false);
      AddPatchLoads(shared, x, {to.group, from_y, from_rows, from_x, from_pixels}, 0,
                    l.from.channels, a_pitch, a, tag);
      for (int64_t part = 0; part < count; part += cut.part) {
        const int64_t outputs = std::min(cut.part, count - part);
        const bool last = part + outputs == count;
        Task task;
        task.loads = std::exchange(shared, {});
        if (b < 0 || outputs < count) {
          b = s_->AddBuffer(static_cast<uint32_t>(RoundUp(outputs, cols) * b_pitch),
                            outputs == count);
          task.loads.push_back(
              GatherWeights(op.layer, weights, n + part, outputs, b_pitch, b, tag));
        }
        VectorSpec vector;
        vector.out = results;
        vector.out_bytes = BytesOf(out);
        vector.relu = op.relu;
        vector.tail = last && n + count == l.to.channels;
        if (bias >= 0) {
          vector.aux = biases;
          vector.aux_kind = Aux::kAdd;
          vector.aux_offset = part * 4;
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
              Nest nest;
              nest.rows = {{together, a_pitch, 0, out_pitch, 0}, {of_set, step, 0, out_pixel, 0}};
              nest.depth = {{KWords(l.from.channels), word_, word_},
                            {rx.taps, w.dilation_w * a_pixel, TapWidth(l) * operand_},
                            {ry.taps, w.dilation_h * a_row, w.kernel_w * TapWidth(l) * operand_}};
              nest.sets = {
                  {CeilDiv(outputs, cols), 0, cols * b_pitch, cols * vector.out_bytes, cols * 4},
                  {samples / together, together * a_pitch, 0, together * out_pitch, 0},
                  {sets, of_set * step, 0, of_set * out_pixel, 0},
                  {ry.count, w.stride_h * a_row, 0, out_row, 0}};
              ComputeSpec product;
              product.a = a;
              product.b = b;
              product.a_offset =
                  (ry.begin * w.stride_h + ry.tap * w.dilation_h - w.pad_top - from_y) * a_row +
                  (rx.begin * w.stride_w + rx.tap * w.dilation_w - w.pad_left - from_x) * a_pixel;
              product.b_offset = (ry.tap * w.kernel_w + rx.tap) * TapWidth(l) * operand_;
              product.b_pitch = b_pitch;
              vector.out_offset = (ry.begin - to.y) * out_row + (rx.begin - to.x) * out_pixel +
                                  part * vector.out_bytes;
              AddJobs(task.work, product, vector, nest, tag);
              rx = rx.Within(rx.begin + sets * of_set, rx.count - sets * of_set);
            }
          }
        }
        if (last) AddPatchStores(task.stores, y, to, n, count, out_pitch, results, tag);
        s_->AddTask(std::move(task));
      }
    });
  }
}

// ---- back-propagation

void Mapper::AddWindowBackward(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer l = Mapped(op.layer);
  const Window& w = l.window;
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int weights = tensor_of_[op.Tensor(Role::kW)];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int dx = tensor_of_[op.Tensor(Role::kDx)];
  const ProgramTensor& out = local_[dx];
  const WindowAxis down = RowsOf(l);
  const WindowAxis across = ColumnsOf(l);
  const std::vector<TapPhase> row_phases = InputPhases(down);
  const std::vector<TapPhase> column_phases = InputPhases(across);
  const int64_t cols = v_.array.cols;
  const int64_t groups = raster_.at(dz).groups;
  const int64_t samples = raster_.at(dz).samples;
  const int64_t a_pitch = OperandPitch({dz, false}, l.to.channels);
  const int64_t a_pixel = samples * a_pitch;
  const int64_t k_words = KWords(l.to.channels);
  // Behind a single row of outputs each row of dX sees one row of taps; where all of them are too
  // long, they come one by one.
  const int64_t least = std::max(cols, kAccess / 4);
  const int64_t tap_row = w.kernel_w * k_words * word_;
  const bool by_rows = l.to.height == 1 && least * w.kernel_h * tap_row > Scratchpad(budget) / 3;
  const int64_t b_pitch = (by_rows ? 1 : w.kernel_h) * tap_row;
  // Pixels that no window sees have no gradient; their zeros are in memory from the beginning.
  const bool all_seen = AllSeen(row_phases, down) && AllSeen(column_phases, across);

  const Cut cut = CutColumns(l.from.channels, b_pitch, Scratchpad(budget) / 3, least);
  const int64_t out_pitch = OutPitch(out, cut.chunk);
  const int64_t out_pixel = samples * out_pitch;
  const int64_t mask_pitch = OutPitch(local_[x], cut.chunk);
  const int64_t mask_pixel = samples * mask_pitch;
  const Tile tile =
      FitTile(by_rows ? 1 : down.size, across.size,
              Scratchpad(budget) - RoundUp(cut.part, cols) * b_pitch, [&](const Tile& t) {
                return MostWindows(row_phases, down, t.rows) *
                           MostWindows(column_phases, across, t.pixels) * a_pixel +
                       t.rows * t.pixels * (out_pixel + (op.mask ? mask_pixel : 0));
              });
  const int64_t together = SamplesOfSet(samples, v_.AccHalfDepth());
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "{} transposed stationary in the array, windows of {} streamed in {} phases; tiles of {} x "
        "{} pixels by {} samples, {} channels",
        local_[weights].name, local_[dz].name, row_phases.size() * column_phases.size(), tile.rows,
        tile.pixels, samples, cut.chunk);
  }
  for (int64_t c = 0; c < l.from.channels; c += cut.chunk) {
    const int64_t count = std::min(cut.chunk, l.from.channels - c);
    int b = -1;
    ForEachTile(groups, down.size, across.size, tile, [&](const Patch& to) {
      const auto [z_y, z_rows] = WindowsOf(row_phases, down, to.y, to.rows);
      const auto [z_x, z_pixels] = WindowsOf(column_phases, across, to.x, to.pixels);
      if (z_rows == 0 || z_pixels == 0) return;
      const int64_t a_row = z_pixels * a_pixel;
      const int64_t out_row = to.pixels * out_pixel;
      const int64_t mask_row = to.pixels * mask_pixel;
      const int a = s_->AddBuffer(static_cast<uint32_t>(z_rows * a_row), false);
      const int results = s_->AddBuffer(static_cast<uint32_t>(to.rows * out_row), false);
      const int mask =
          op.mask ? s_->AddBuffer(static_cast<uint32_t>(to.rows * mask_row), false) : -1;
      std::vector<Load> shared;
      AddPatchLoads(shared, dz, {to.group, z_y, z_rows, z_x, z_pixels}, 0, l.to.channels, a_pitch,
                    a, tag);
      if (op.mask) AddPatchLoads(shared, x, to, c, count, mask_pitch, mask, tag);
      if (!all_seen) AddPatchLoads(shared, dx, to, c, count, out_pitch, results, tag);
      for (int64_t part = 0; part < count; part += cut.part) {
        const int64_t channels = std::min(cut.part, count - part);
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
        vector.tail = last && c + count == l.from.channels;
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
                  Nest nest;
                  nest.rows = {{together, a_pitch, 0, out_pitch, mask_pitch},
                               {of_set, a_pixel, 0, out_step, mask_step}};
                  nest.depth = {{k_words, word_, word_},
                                {rx.taps, -px.back * a_pixel, px.tap_step * k_words * word_},
                                {ry.taps, -py.back * a_row, py.tap_step * tap_row}};
                  nest.sets = {
                      {padded / cols, 0, cols * b_pitch, cols * vector.out_bytes, cols * operand_},
                      {samples / together, together * a_pitch, 0, together * out_pitch,
                       together * mask_pitch},
                      {sets, of_set * a_pixel, 0, of_set * out_step, of_set * mask_step},
                      {ry.count, a_row, 0, w.stride_h * out_row, w.stride_h * mask_row}};
                  ComputeSpec product;
                  product.a = a;
                  product.b = b;
                  product.a_offset = (py.from + ry.begin - ry.tap * py.back - z_y) * a_row +
                                     (px.from + rx.begin - rx.tap * px.back - z_x) * a_pixel;
                  product.b_offset = (py.tap + ry.tap * py.tap_step - ky) * tap_row +
                                     (px.tap + rx.tap * px.tap_step) * k_words * word_;
                  product.b_pitch = b_pitch;
                  const int64_t pixel_y = py.at + ry.begin * w.stride_h - to.y;
                  const int64_t pixel_x = px.at + rx.begin * w.stride_w - to.x;
                  vector.out_offset =
                      pixel_y * out_row + pixel_x * out_pixel + part * vector.out_bytes;
                  vector.aux_offset = pixel_y * mask_row + pixel_x * mask_pixel + part * operand_;
                  AddJobs(task.work, product, vector, nest, tag);
                  rx = rx.Within(rx.begin + sets * of_set, rx.count - sets * of_set);
                }
              }
            }
          }
        }
        if (last) AddPatchStores(task.stores, dx, to, c, count, out_pitch, results, tag);
        s_->AddTask(std::move(task));
      }
    });
  }
}

// ---- weight update

// Sums of the node become the parameter after the step at its owner, or the stored gradient.
void Mapper::AddWindowStep(int parameter, int64_t row, int64_t rows, int64_t col, int64_t cols,
                           int sums, int64_t sums_offset, int64_t sums_pitch, int owner,
                           bool of_bias, bool take_step, int tag) {
  if (take_step && HasOptimiserStep()) {
    return AddOptimiserStep(parameter, row, rows, col, cols, sums, sums_offset, sums_pitch, owner,
                            of_bias, tag);
  }
  // Tokens for sums come in the order in which the sums were begun.
  FlushLate();
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
  const WindowAxis down = RowsOf(l);
  const WindowAxis across = ColumnsOf(l);
  const int64_t cols = v_.array.cols;
  const int64_t groups = raster_.at(dz).groups;
  const int64_t pixel = raster_.at(dz).samples * operand_;  // of one channel, a word
  const int64_t tap_bytes = TapWidth(l) * 4;
  const int64_t channels = KWords(l.from.channels) * word_elements_;

  // Sums of a slice of outputs and of some rows of taps stay in the scratchpad while all samples
  // go by.
  constexpr int64_t kStep = isa::kAccessBytes / 2;
  int64_t slice = std::min(l.to.channels, std::max<int64_t>(kStep, v_.AccHalfDepth()));
  int64_t tap_rows = w.kernel_h;
  auto sums_pitch = [&] {
    return RoundUp(tap_rows * w.kernel_w * tap_bytes, std::max(kAccess, word_));
  };
  while (slice * sums_pitch() > Scratchpad(budget) / 4 && (slice > kStep || tap_rows > 1)) {
    if (slice > kStep) {
      slice = RoundUp(slice / 2, kStep);
    } else {
      tap_rows = CeilDiv(tap_rows, 2);
    }
  }
  if (slice < l.to.channels) slice = slice / kStep * kStep;
  const int64_t pitch = sums_pitch();
  auto some_taps = [&](int64_t ky, int64_t taps) {
    WindowAxis some = down;
    some.kernel = taps;
    some.pad -= ky * down.dilation;
    return some;
  };
  const Tile tile =
      FitTile(l.to.height, l.to.width, Scratchpad(budget) - slice * pitch, [&](const Tile& t) {
        return (t.rows * t.pixels * RoundUp(slice, cols) +
                some_taps(0, tap_rows).MostSeen(t.rows) * across.MostSeen(t.pixels) * channels) *
               pixel;
      });
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "windows of {} transposed stationary in the array, {} transposed streamed; tiles of {} x "
        "{} "
        "pixels, {} outputs by {} rows of taps summed in the scratchpad",
        local_[x].name, local_[dz].name, tile.rows, tile.pixels, slice, tap_rows);
  }
  auto in_place = [](Loop loop) {
    loop.aux = loop.out;
    return loop;
  };
  for (int64_t o = 0; o < l.to.channels; o += slice) {
    const int64_t outputs = std::min(slice, l.to.channels - o);
    // As many at a time as there are accumulators; what fills up the last set is not used.
    const int64_t together = std::min<int64_t>(outputs, v_.AccHalfDepth());
    const int64_t row_sets = CeilDiv(outputs, together);
    const int64_t padded = RoundUp(outputs, cols);
    const int64_t a_rows = std::max(padded, row_sets * together);
    for (int64_t ky = 0; ky < w.kernel_h; ky += tap_rows) {
      const int64_t taps_y = std::min(tap_rows, w.kernel_h - ky);
      const std::vector<TapSpan> row_spans = TapSpans(down, ky, taps_y);
      const std::vector<TapSpan> column_spans = TapSpans(across, 0, w.kernel_w);
      const bool with_bias = bias >= 0 && ky == 0;
      const int sums = s_->AddBuffer(static_cast<uint32_t>(row_sets * together * pitch), true);
      const int64_t bias_pitch = RoundUp(padded * 4, std::max(kAccess, word_));
      const int bias_sums = with_bias ? s_->AddBuffer(static_cast<uint32_t>(bias_pitch), true) : -1;
      const int ones =
          with_bias ? s_->AddBuffer(static_cast<uint32_t>(std::max(kAccess, word_)), true) : -1;
      std::set<std::pair<int64_t, int64_t>> begun;  // taps whose sums hold something
      bool first = true;
      ForEachTile(groups, l.to.height, l.to.width, tile, [&](const Patch& to) {
        const auto [from_y, from_rows] = some_taps(ky, taps_y).Seen(to.y, to.rows);
        const auto [from_x, from_pixels] = across.Seen(to.x, to.pixels);
        const int64_t a_row = to.pixels * pixel;
        const int64_t b_row = from_pixels * pixel;
        const int64_t a_pitch = to.rows * a_row;
        const int64_t b_pitch = from_rows * b_row;
        const int a = s_->AddBuffer(static_cast<uint32_t>(a_rows * a_pitch), false);
        Task task;
        AddTurnedLoads(task.loads, dz, to, o, padded, a, tag);
        VectorSpec vector;
        vector.aux_kind = Aux::kAdd;
        if (from_rows > 0 && from_pixels > 0) {
          const int b = s_->AddBuffer(static_cast<uint32_t>(channels * b_pitch), false);
          AddTurnedLoads(task.loads, x, {to.group, from_y, from_rows, from_x, from_pixels}, 0,
                         channels, b, tag);
          for (const TapSpan& sy : row_spans) {
            const int64_t y0 = std::max(sy.begin, to.y);
            const int64_t y1 = std::min(sy.end, to.y + to.rows);
            for (const TapSpan& sx : column_spans) {
              const int64_t x0 = std::max(sx.begin, to.x);
              const int64_t x1 = std::min(sx.end, to.x + to.pixels);
              if (y0 >= y1 || x0 >= x1) continue;
              Nest nest;
              nest.rows = {in_place({together, a_pitch, 0, pitch})};
              nest.depth = {{x1 - x0, pixel, w.stride_w * pixel},
                            {y1 - y0, a_row, w.stride_h * b_row}};
              nest.sets = {in_place({channels / cols, 0, cols * b_pitch, cols * 4}),
                           in_place({sx.taps, 0, w.dilation_w * pixel, tap_bytes}),
                           in_place({sy.taps, 0, w.dilation_h * b_row, w.kernel_w * tap_bytes}),
                           in_place({row_sets, together * a_pitch, 0, together * pitch})};
              ComputeSpec product;
              product.a = a;
              product.b = b;
              product.a_offset = (y0 - to.y) * a_row + (x0 - to.x) * pixel;
              product.b_offset =
                  (y0 * w.stride_h + sy.tap * w.dilation_h - w.pad_top - from_y) * b_row +
                  (x0 * w.stride_w + sx.tap * w.dilation_w - w.pad_left - from_x) * pixel;
              product.b_pitch = b_pitch;
              const bool is_first = begun.emplace(sy.tap, sx.tap).second;
              vector.out = sums;
              vector.out_offset = ((sy.tap - ky) * w.kernel_w + sx.tap) * tap_bytes;
              vector.aux = is_first ? -1 : sums;
              vector.aux_offset = is_first ? 0 : vector.out_offset.base;
              AddJobs(task.work, product, vector, nest, tag);
            }
          }
        }
        if (with_bias) {
          if (first) {
            task.loads.emplace_back(LoadPlain(ones_, 0, 1, 0, word_elements_, 0,
                                              std::max(kAccess, word_), false, ones, tag));
          }
          vector.out = bias_sums;
          vector.out_offset = 0;
          vector.aux = first ? -1 : bias_sums;
          vector.aux_offset = 0;
          Nest nest;
          nest.depth = {{to.pixels, 0, pixel}, {to.rows, 0, a_row}};
          nest.sets = {in_place({padded / cols, 0, cols * a_pitch, cols * 4})};
          ComputeSpec sum;
          sum.a = ones;
          sum.b = a;
          sum.b_pitch = a_pitch;
          AddJobs(task.work, sum, vector, nest, tag);
        }
        if (!task.work.empty()) s_->AddTask(std::move(task));
        first = false;
      });
      // Taps that only ever see what lies outside the image.
      for (const TapSpan& sy : row_spans) {
        for (const TapSpan& sx : column_spans) {
          if (begun.contains({sy.tap, sx.tap})) continue;
          for (int64_t tap = 0; tap < sy.taps; ++tap) {
            AddZeros(sums, ((sy.tap + tap - ky) * w.kernel_w + sx.tap) * tap_bytes, pitch, outputs,
                     sx.taps * tap_bytes, tag);
          }
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
                        static_cast<int>(block % grid_.batch.parts), false, take_step, tag);
          at += count;
        }
        if (with_bias) {
          AddWindowStep(bias, 0, 1, o, outputs, bias_sums, 0, bias_pitch, 0, true, take_step, tag);
        }
      }
    }
  }
}

}  // namespace vaultrain
