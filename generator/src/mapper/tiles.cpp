// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "mapper/mapping.h"
#include "vaultrain/error.h"

namespace vaultrain {

using isa::Aux;
using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

// ---- tiling

// The cheapest cut by a small model: memory and array work at the same time, memory at kPinShare of
// its pins; the array waits for the first tile's loads, and the last store waits for the array.
Tiling Mapper::ChooseTiling(const Gemm& g, double budget) const {
  const ProgramTensor& out = local_[g.out];
  const int64_t cols = v_.array.cols;
  const int64_t capacity = static_cast<int64_t>(budget * v_.scratchpad.kib * 1024);
  // Of halves both.
  const int64_t a_pitch = OperandPitch(g.a, g.k) * HalvesOf(g.a.tensor);
  const int64_t b_pitch = OperandPitch(g.b, g.k) * HalvesOf(g.b.tensor);
  const int64_t depth = KWords(g.k) * HalvesOf(g.a.tensor) * HalvesOf(g.b.tensor);
  const double beats = 1.0 / (kPinShare * static_cast<double>(beat_));

  // Chunk sizes that keep rows of memory on access boundaries.
  auto sizes = [](int64_t whole, int64_t step, int64_t most) {
    std::vector<int64_t> all;
    for (int64_t s = step; s < std::min(whole, most + 1); s += step) all.push_back(s);
    if (whole <= most) all.push_back(whole);
    return all;
  };
  // An operand of up to an eighth of the scratchpad is loaded once for all tiles.
  const int64_t small = v_.scratchpad.kib * 1024 / 8;
  const bool a_small = g.m * a_pitch <= small;
  const bool b_small = RoundUp(g.n, cols) * b_pitch <= small;
  auto m_step = [&](bool a_stays) {
    const bool whole = !a_stays && a_small;
    return g.a.transposed && !whole ? Granularity(local_[g.a.tensor]) : 1;
  };
  // Tiles start on accesses wherever they are loaded or stored for themselves.
  const bool whole_out = !g.in_place && IsSmall(out);
  auto n_step = [&](bool a_stays) {
    int64_t step = cols;
    if (g.b.transposed && !(a_stays && b_small)) {
      step = std::max(step, Granularity(local_[g.b.tensor]));
    }
    if (g.mask >= 0) step = std::max(step, Granularity(local_[g.mask]));
    if (g.in_place || !(a_stays || whole_out))
      step = std::max({step, Granularity(out), kAccess / 4});
    return step;
  };

  Tiling best;
  double least = std::numeric_limits<double>::infinity();
  std::vector<TilingChoice> weighed;
  int64_t too_large = 0;
  for (bool a_stays : {true, false}) {
    for (int64_t mt :
         sizes(g.m, std::max<int64_t>(m_step(a_stays), g.m > 64 ? 8 : 1), v_.AccHalfDepth())) {
      for (int64_t nt : sizes(g.n, n_step(a_stays), g.n)) {
        const int64_t a_bytes = mt * a_pitch;
        const int64_t b_bytes = RoundUp(nt, cols) * b_pitch;
        // Results of all of N, or all results, gather in one buffer.
        const bool whole_rows = whole_out || (a_stays && !g.in_place);
        const int64_t out_width = whole_rows ? g.n : nt;
        const int64_t out_bytes = (whole_out ? g.m : mt) * OutPitch(out, out_width);
        const int64_t bias_bytes = g.bias >= 0 ? RoundUp(out_width * 4, kAccess) : 0;
        const int64_t mask_bytes = g.mask >= 0 ? mt * OutPitch(local_[g.mask], nt) : 0;
        const bool streams_whole = a_stays ? b_small : a_small;
        const int64_t streaming = a_stays ? b_bytes : a_bytes;
        const int64_t whole_bytes = a_stays ? RoundUp(g.n, cols) * b_pitch : g.m * a_pitch;
        const int64_t stays = (a_stays ? a_bytes : b_bytes) +
                              (whole_rows ? out_bytes + bias_bytes : 0) +
                              (streams_whole ? whole_bytes : 0);
        const int64_t streams = (streams_whole ? 0 : streaming) + mask_bytes +
                                (whole_rows ? 0 : out_bytes + bias_bytes);
        const int64_t m_tiles = CeilDiv(g.m, mt);
        const int64_t n_tiles = CeilDiv(g.n, nt);
        const int64_t tiles = m_tiles * n_tiles;
        const int64_t held = stays + streams * std::min<int64_t>(tiles, 3);
        if (held > capacity) {
          ++too_large;
          continue;
        }
        // Bytes in memory: fp32 sources are twice as long as the operands they become.
        auto source = [&](const Operand2D& o, int64_t bytes) {
          return Converts(local_[o.tensor]) ? 2 * bytes : bytes;
        };
        const int64_t repeats = streams_whole ? 1 : a_stays ? m_tiles : n_tiles;
        const double a_moves =
            static_cast<double>(source(g.a, g.m * a_pitch) * (a_stays ? 1 : repeats));
        const double b_moves =
            static_cast<double>(source(g.b, g.n * b_pitch) * (a_stays ? repeats : 1));
        const double out_moves =
            static_cast<double>(g.m * OutPitch(out, g.n)) * (g.in_place ? 2 : 1);
        // A tile of B is loaded in Cols cycles and a little, while the last one is streamed
        // against.
        TilingChoice choice;
        choice.rows = mt;
        choice.cols = nt;
        choice.streams_whole = streams_whole;
        choice.tile =
            static_cast<double>(depth * CeilDiv(nt, cols) * std::max<int64_t>(mt, cols + 2)) + 60;
        choice.compute = choice.tile * static_cast<double>(tiles);
        const double descriptors = static_cast<double>(tiles * 5 * kAccess);
        // A row of a tile that is shorter than a row of memory opens pages for less.
        const double row_bytes = static_cast<double>(nt * BytesOf(out));
        const double scatter = n_tiles > 1 && g.in_place ? 1.0 + 64.0 / row_bytes : 1.0;
        choice.transfers = (a_moves + b_moves + out_moves * scatter + descriptors) * beats;
        choice.first_loads =
            static_cast<double>(stays + streams - (g.in_place ? 0 : out_bytes)) * beats;
        choice.last_store = static_cast<double>(out_bytes) * beats;
        if (explains_) {
          choice.stays = local_[(a_stays ? g.a : g.b).tensor].name;
          weighed.push_back(choice);
        }
        if (choice.Cycles() < least) {
          best = {mt, nt, a_stays, streams_whole};
          least = choice.Cycles();
        }
      }
    }
  }
  if (explains_) ExplainProduct(g, std::move(weighed), too_large);
  return best;
}

// ---- a matrix product

void Mapper::AddGemm(const Gemm& g, double budget) {
  const Tiling tiling = ChooseTiling(g, budget);
  if (tiling.mt == 0) {
    RefuseInput(
        "{}: layer {} needs more than the scratchpad of {} KiB: its smallest tiles hold {} values "
        "of K each; rule: "
        "operands of one tile fit scratchpad.kib",
        graph_.file, g.layer, v_.scratchpad.kib, g.k);
  }
  if (data_flow_[g.tag].empty()) {
    data_flow_[g.tag] =
        fmt::format("{} stationary in the array, tiles of {} x {}, {} stays in the scratchpad",
                    local_[g.b.tensor].name, tiling.mt, tiling.nt,
                    local_[(tiling.a_stays ? g.a : g.b).tensor].name);
  }
  const ProgramTensor& out = local_[g.out];
  const int64_t cols = v_.array.cols;
  const int64_t a_pitch = OperandPitch(g.a, g.k);
  const int64_t b_pitch = OperandPitch(g.b, g.k);
  const int64_t k_words = KWords(g.k);
  const int64_t a_halves = HalvesOf(g.a.tensor);
  const int64_t b_halves = HalvesOf(g.b.tensor);

  struct Chunk {
    int64_t begin, count;
  };
  auto chunks = [](int64_t whole, int64_t size) {
    std::vector<Chunk> all;
    for (int64_t at = 0; at < whole; at += size) all.push_back({at, std::min(size, whole - at)});
    return all;
  };
  const std::vector<Chunk> m_chunks = chunks(g.m, tiling.mt);
  const std::vector<Chunk> n_chunks = chunks(g.n, tiling.nt);
  const std::vector<Chunk>& outer = tiling.a_stays ? m_chunks : n_chunks;
  const std::vector<Chunk>& inner = tiling.a_stays ? n_chunks : m_chunks;

  int whole = -1;  // buffer of a streaming operand that stays whole
  const int kept_a = g.a.transposed ? -1 : Kept(g.a.tensor);
  const int kept_mask = g.mask < 0 ? -1 : Kept(g.mask);
  const bool whole_out = !g.in_place && IsSmall(out);
  int rows_out = -1;
  int whole_bias = -1;
  for (const Chunk& o : outer) {
    // What the tiles of one outer chunk share.
    int stays = -1;
    if (!whole_out) {
      rows_out = -1;
      whole_bias = -1;
    }
    for (const Chunk& i : inner) {
      const Chunk& mc = tiling.a_stays ? o : i;
      const Chunk& nc = tiling.a_stays ? i : o;
      const int64_t n_padded = RoundUp(nc.count, cols);
      const int64_t n_tiles = n_padded / cols;
      const bool row_end = nc.begin + nc.count == g.n;
      const bool whole_rows = whole_out || (tiling.a_stays && !g.in_place);
      const bool many = inner.size() > 1 || outer.size() > 1;
      Task task;
      auto operand = [&](bool is_a) {
        const Operand2D& source = is_a ? g.a : g.b;
        const Chunk& chunk = is_a ? mc : nc;
        const int64_t padded = is_a ? chunk.count : n_padded;
        const bool is_staying = is_a == tiling.a_stays;
        const int64_t pitch = is_a ? a_pitch * a_halves : b_pitch * b_halves;
        if (is_staying && stays >= 0) return stays;
        if (is_a && kept_a >= 0) return kept_a;
        if (!is_staying && tiling.streams_whole) {
          if (whole < 0) {
            const int64_t all = is_a ? g.m : g.n;
            const int64_t all_padded = is_a ? g.m : RoundUp(g.n, cols);
            whole = s_->AddBuffer(static_cast<uint32_t>(all_padded * pitch), true);
            for (Step& step : LoadOperand(source, 0, all, all_padded, g.k, whole, g.tag)) {
              task.loads.push_back(std::move(step));
            }
          }
          return whole;
        }
        const int buffer = s_->AddBuffer(static_cast<uint32_t>(padded * pitch), is_staying && many);
        for (Step& step :
             LoadOperand(source, chunk.begin, chunk.count, padded, g.k, buffer, g.tag)) {
          task.loads.push_back(std::move(step));
        }
        if (is_staying) stays = buffer;
        return buffer;
      };
      const int a = operand(true);
      const int b = operand(false);
      const int64_t a_offset = a == whole || a == kept_a ? mc.begin * a_pitch : 0;
      const int64_t b_offset = b == whole ? nc.begin * b_pitch : 0;

      // Results: small tensors, and whole rows, gather in one buffer, stored with the last tile;
      // else each tile has its own.
      const Chunk out_cols = whole_rows ? Chunk{0, g.n} : nc;
      const int64_t out_pitch = OutPitch(out, out_cols.count);
      const Chunk out_rows = whole_out ? Chunk{0, g.m} : mc;
      const int64_t out_offset =
          (mc.begin - out_rows.begin) * out_pitch + (nc.begin - out_cols.begin) * BytesOf(out);
      if (!whole_rows || rows_out < 0) {
        rows_out =
            s_->AddBuffer(static_cast<uint32_t>(out_rows.count * out_pitch), whole_rows && many);
        if (whole_out) resident_[g.out] = rows_out;
      }
      const int c = rows_out;

      int aux = -1;
      int64_t aux_row = 0;     // bytes from row to row
      int64_t aux_slot = 0;    // bytes of the values of all columns
      int64_t aux_offset = 0;  // bytes of the first value
      Aux aux_kind = Aux::kNone;
      if (g.in_place) {
        aux = c;
        aux_row = out_pitch;
        aux_slot = cols * 4;
        aux_kind = Aux::kAdd;
        task.loads.push_back(LoadPlain(g.out, mc.begin, mc.count, nc.begin, nc.count, 0, out_pitch,
                                       false, c, g.tag));
      } else if (g.bias >= 0) {
        if (!whole_rows || whole_bias < 0) {
          const int64_t pitch = RoundUp(RoundUp(out_cols.count * 4, kAccess), word_);
          whole_bias = s_->AddBuffer(static_cast<uint32_t>(pitch), whole_rows && many);
          task.loads.push_back(LoadPlain(g.bias, 0, 1, out_cols.begin, out_cols.count, 0, pitch,
                                         false, whole_bias, g.tag));
        }
        aux = whole_bias;
        aux_slot = cols * 4;
        aux_offset = (nc.begin - out_cols.begin) * 4;
        aux_kind = Aux::kAdd;
      } else if (g.mask >= 0) {
        const ProgramTensor& mask = local_[g.mask];
        aux_slot = cols * operand_;
        aux_kind = Aux::kMask;
        if (kept_mask >= 0) {
          aux = kept_mask;
          aux_row = OutPitch(mask, mask.cols);
          aux_offset = mc.begin * aux_row + nc.begin * operand_;
        } else {
          aux_row = OutPitch(mask, nc.count);
          aux = s_->AddBuffer(static_cast<uint32_t>(mc.count * aux_row), false);
          task.loads.push_back(LoadPlain(g.mask, mc.begin, mc.count, nc.begin, nc.count, 0, aux_row,
                                         false, aux, g.tag));
        }
      }

      ComputeSpec product{a, b, a_offset, a_pitch, b_offset, b_pitch, mc.count, n_tiles, k_words};
      if (a_halves > 1) product.a_low = (a == whole ? g.m : mc.count) * a_pitch;
      if (b_halves > 1) product.b_low = (b == whole ? RoundUp(g.n, cols) : n_padded) * b_pitch;
      VectorSpec results;
      results.out = c;
      results.out_offset = out_offset;
      results.out_pitch = out_pitch;
      results.out_bytes = BytesOf(out);
      results.aux = aux;
      results.aux_kind = aux_kind;
      results.aux_offset = aux_offset;
      results.aux_pitch = aux_row;
      results.aux_bytes = aux_slot / cols;
      results.relu = g.relu;
      results.scale = g.scale;
      results.tail = row_end;
      task.work.push_back(Compute(product, g.tag));
      task.work.push_back(Vector(product, results, g.tag));
      const bool last_tile = &o == &outer.back() && &i == &inner.back();
      if (whole_out ? last_tile : (!whole_rows || row_end)) {
        task.stores.push_back(StorePlain(g.out, out_rows.begin, out_rows.count, out_cols.begin,
                                         out_cols.count, out_pitch, c, g.tag));
      }
      AddTask(std::move(task));
    }
  }
}

}  // namespace vaultrain
