// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "kernels/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "vaultrain/tensors.h"

namespace vaultrain::kernels {
namespace {

using isa::Aux;
using isa::Descriptor;
using isa::Engine;
using isa::FieldId;
using isa::kAccessBytes;
using isa::Opcode;
using Loops = std::array<int64_t, isa::kLoops>;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }

isa::Engine EngineOf(const Descriptor& d) {
  return isa::EngineOf(static_cast<Opcode>(d.Get(FieldId::kOpcode)));
}

// Puts a loop's walk into base and stride, backwards if `reverse`.
void Walk(int64_t bound, int64_t& stride, int64_t& base, bool reverse) {
  if (!reverse) return;
  base += (bound - 1) * stride;
  stride = -stride;
}

void SetLoops(Descriptor& d, FieldId bound_field, FieldId inc_field, const Loops& bounds,
              const Loops& strides) {
  const Loops increments = isa::Increments(bounds, strides);
  for (int l = 0; l < isa::kLoops; ++l) {
    d.Set(bound_field, bounds[l], l);
    // A loop of one iteration never advances.
    d.Set(inc_field, bounds[l] > 1 ? increments[l] : 0, l);
  }
}

}  // namespace

Builder::Builder(const Variant& variant, const VaultDram&, Random& random)
    : variant_(variant),
      random_(random),
      operand_(variant.OperandBits() / 8),
      word_(variant.WordBits() / 8),
      spad_bytes_(int64_t{variant.scratchpad.kib} * 1024) {}

ElementFormat Builder::Operand() const { return ElementOf(variant_.operand_format); }

ElementFormat Builder::Gradient() const { return HasHalves() ? ElementFormat::kFp32 : Operand(); }

int Builder::AddTensor(const std::string& name, ElementFormat format, int64_t rows, int64_t cols,
                       int64_t gap) {
  ProgramTensor tensor;
  tensor.name = name;
  tensor.tensor = name;
  tensor.format = format;
  if (format == ElementFormat::kFx16) tensor.fraction_bits = variant_.fraction_bits;
  tensor.address = next_address_;
  tensor.rows = rows;
  tensor.cols = cols;
  row_bytes_.push_back(RoundUp(RoundUp(cols, word_elements()) * BytesOf(format),
                               std::max<int64_t>(kAccessBytes, 2 * word_)));
  tensor.pitch_bytes = row_bytes_.back() + gap * kAccessBytes;
  // Tensors lie in different pages and banks.
  next_address_ += TensorBytes(tensor) + kAccessBytes * (1 + random_.Below(70));
  result_.program.tensors.push_back(tensor);
  return static_cast<int>(result_.program.tensors.size()) - 1;
}

void Builder::Fill(int tensor, const std::function<uint32_t(int64_t row, int64_t col)>& bits) {
  const ProgramTensor& t = Tensor(tensor);
  std::vector<uint8_t> bytes(TensorBytes(t));
  for (int64_t r = 0; r < t.rows; ++r) {
    for (int64_t c = 0; c < t.cols; ++c) {
      const uint32_t value = bits(r, c);
      for (int b = 0; b < BytesOf(t.format); ++b) {
        bytes[r * t.pitch_bytes + c * BytesOf(t.format) + b] = static_cast<uint8_t>(value >> 8 * b);
      }
    }
  }
  result_.program.image.push_back({t.address, std::move(bytes)});
}

void Builder::FillNormal(int tensor) {
  const ProgramTensor& t = Tensor(tensor);
  Fill(tensor, [&](int64_t, int64_t) {
    const double value = random_.Normal();
    if (t.format == ElementFormat::kFx16) {
      const double units = std::clamp(std::ldexp(value, t.fraction_bits), -32768.0, 32767.0);
      return static_cast<uint32_t>(static_cast<int32_t>(units)) & 0xFFFF;
    }
    const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(value));
    if (t.format == ElementFormat::kFp16) {
      const int exponent = static_cast<int>(bits >> 23 & 0xFF) - 112;
      return (bits >> 16 & 0x8000) |
             (exponent > 0 ? static_cast<uint32_t>(exponent) << 10 | (bits >> 13 & 0x3FF) : 0);
    }
    return t.format == ElementFormat::kBf16 ? bits >> 16 : bits;
  });
}

void Builder::FillBits(int tensor) {
  Fill(tensor, [&](int64_t, int64_t) { return static_cast<uint32_t>(random_.Next()); });
}

uint32_t Builder::Room(uint64_t bytes) {
  // Wide results of all columns may take more than a word.
  const int64_t unit = std::max<int64_t>(word_, variant_.array.cols * 4);
  const auto size = static_cast<uint32_t>(RoundUp(static_cast<int64_t>(bytes), unit));
  if (next_room_ + size > spad_bytes_) next_room_ = 0;
  const uint32_t address = next_room_;
  next_room_ += size;
  return address;
}

void Builder::Add(const Descriptor& descriptor, std::vector<Extent> extents) {
  steps_.push_back({descriptor, EngineOf(descriptor), std::move(extents)});
}

void Builder::Move(const Tile& tile, Opcode opcode) {
  const bool load = opcode == Opcode::kLoad;
  const ProgramTensor& t = Tensor(tile.tensor);
  Descriptor d(opcode);
  const auto address =
      static_cast<int64_t>(t.address) + tile.row * t.pitch_bytes + tile.access * kAccessBytes;
  d.Set(FieldId::kTag, next_tag_);
  d.Set(FieldId::kDramAddr, address);
  d.Set(FieldId::kConvert, tile.convert);
  d.Set(FieldId::kHalf, tile.half);
  d.Set(FieldId::kTranspose, tile.transpose);
  d.Set(FieldId::kRows, tile.rows);
  d.Set(FieldId::kRowAccesses, tile.accesses);
  d.Set(FieldId::kDramPitch, t.pitch_bytes);
  d.Set(FieldId::kSpadAddr, tile.spad);
  d.Set(FieldId::kSpadPitch, tile.spad_pitch);
  d.Set(FieldId::kPadRows, tile.pad_rows);
  d.Set(FieldId::kCols, tile.cols);
  const int64_t row_bytes = tile.accesses * kAccessBytes / (tile.convert ? 2 : 1);
  const int64_t all_rows = tile.rows + tile.pad_rows;
  const int64_t spad_end = tile.transpose ? (tile.cols - 1) * tile.spad_pitch + all_rows * operand_
                                          : (all_rows - 1) * tile.spad_pitch + row_bytes;
  const int64_t dram_end = (tile.rows - 1) * t.pitch_bytes + tile.accesses * kAccessBytes;
  Add(d, {{true, !load, static_cast<uint64_t>(address), static_cast<uint64_t>(address + dram_end)},
          {false, load, tile.spad, static_cast<uint64_t>(tile.spad + spad_end)}});
}

uint32_t Builder::LoadWhole(int tensor, bool convert, int half) {
  const int64_t pitch = RowBytes(tensor) / (convert ? 2 : 1);
  const int64_t rows = Tensor(tensor).rows;
  Tile tile;
  tile.tensor = tensor;
  tile.rows = rows;
  tile.accesses = RowBytes(tensor) / kAccessBytes;
  tile.spad = Room(static_cast<uint64_t>(rows * pitch));
  tile.spad_pitch = pitch;
  tile.convert = convert;
  tile.half = half;
  Load(tile);
  return tile.spad;
}

void Builder::StoreWhole(int tensor, uint32_t spad) {
  Tile tile;
  tile.tensor = tensor;
  tile.rows = Tensor(tensor).rows;
  tile.accesses = RowBytes(tensor) / kAccessBytes;
  tile.spad = spad;
  tile.spad_pitch = RowBytes(tensor);
  Store(tile);
}

// ---- products

int64_t Builder::OperandPitch(int tensor, bool transposed, int64_t k) const {
  if (transposed) return CeilDiv(k, word_elements()) * word_;
  return RowBytes(tensor) / (Converts(tensor) ? 2 : 1);
}

int64_t Builder::GemmBytes(const Gemm& g) const {
  const int64_t n = RoundUp(g.n, variant_.array.cols);
  int64_t bytes = g.m * OperandPitch(g.a, g.a_transposed, g.k) * (g.a_halves ? 2 : 1) +
                  n * OperandPitch(g.b, g.b_transposed, g.k) * (g.b_halves ? 2 : 1) +
                  g.m * RowBytes(g.out);
  if (g.mask >= 0) bytes += g.m * RowBytes(g.mask);
  if (g.bias >= 0) bytes += RowBytes(g.bias);
  return bytes;
}

std::pair<uint32_t, int64_t> Builder::LoadOperand(int tensor, bool transposed, int64_t rows,
                                                  int64_t padded, int64_t k, bool halves) {
  const int64_t pitch = OperandPitch(tensor, transposed, k);
  const bool convert = Converts(tensor);
  const uint32_t region = Room(static_cast<uint64_t>(padded * pitch * (halves ? 2 : 1)));
  Tile tile;
  tile.tensor = tensor;
  tile.spad_pitch = pitch;
  tile.convert = convert;
  const int64_t bytes = BytesOf(Tensor(tensor).format);
  const int64_t widest = isa::kTurnBeats * beat() / operand_;
  auto load = [&](int half, int64_t begin) {
    tile.half = half;
    if (!transposed) {
      tile.rows = rows;
      tile.pad_rows = padded - rows;
      tile.accesses = RowBytes(tensor) / kAccessBytes;
      tile.spad = static_cast<uint32_t>(begin);
      Load(tile);
      return;
    }
    tile.transpose = true;
    tile.rows = k;
    tile.pad_rows = CeilDiv(k, word_elements()) * word_elements() - k;
    for (int64_t c = 0; c < padded; c += widest) {
      tile.cols = std::min(widest, padded - c);
      tile.access = c * bytes / kAccessBytes;
      tile.accesses = CeilDiv(tile.cols * bytes, kAccessBytes);
      tile.spad = static_cast<uint32_t>(begin + c * pitch);
      Load(tile);
    }
  };
  load(halves ? 1 : 0, region);
  if (halves) load(2, region + padded * pitch);
  return {region, pitch};
}

void Builder::Multiply(const Gemm& g) {
  const int64_t cols = variant_.array.cols;
  const int64_t n_tiles = CeilDiv(g.n, cols);
  const int64_t k_words = CeilDiv(g.k, word_elements());
  const auto placed_a = LoadOperand(g.a, g.a_transposed, g.m, g.m, g.k, g.a_halves);
  const auto placed_b = LoadOperand(g.b, g.b_transposed, g.n, n_tiles * cols, g.k, g.b_halves);
  const auto a = placed_a.first;
  const int64_t a_pitch = placed_a.second;
  const auto b = placed_b.first;
  const int64_t b_pitch = placed_b.second;
  const int64_t out_bytes = BytesOf(Tensor(g.out).format);
  uint32_t out, aux = 0;
  int64_t aux_row = 0, aux_slot = 0;
  Aux aux_kind = Aux::kNone;
  if (g.in_place) {
    out = aux = LoadWhole(g.out);
    aux_row = RowBytes(g.out);
    aux_slot = cols * 4;
    aux_kind = Aux::kAdd;
  } else {
    if (g.bias >= 0) {
      aux = LoadWhole(g.bias);
      aux_slot = cols * 4;
      aux_kind = Aux::kAdd;
    } else if (g.mask >= 0) {
      aux = LoadWhole(g.mask);
      aux_row = RowBytes(g.mask);
      aux_slot = cols * operand_;
      aux_kind = Aux::kMask;
    }
    out = Room(static_cast<uint64_t>(g.m * RowBytes(g.out)));
  }
  const auto size = [](int64_t bytes) { return static_cast<uint64_t>(bytes); };
  const bool halves = g.a_halves || g.b_halves;
  const int64_t a_low = g.a_halves ? g.m * a_pitch : 0;
  const int64_t b_low = g.b_halves ? n_tiles * cols * b_pitch : 0;
  const Extent a_extent{false, false, a, a + size(a_low + g.m * a_pitch)};
  const Extent b_extent{false, false, b, b + size(b_low + n_tiles * cols * b_pitch)};
  const Extent out_extent{false, true, out, out + size(g.m * RowBytes(g.out))};
  const Extent aux_extent{false, false, aux,
                          aux + size(aux_kind == Aux::kNone ? 0
                                     : aux_row != 0         ? g.m * aux_row
                                                            : RowBytes(g.bias))};

  // Words [k_begin, k_end) of K for tiles [n_begin, n_begin + n_count).
  auto compute = [&](int64_t k_begin, int64_t k_end, int64_t n_begin, int64_t n_count, bool first,
                     bool last) {
    // Of the rows, of K, of halves if there are any, of tiles.
    const size_t n_loop = halves ? 3 : 2;
    Loops bounds = {g.m, k_end - k_begin, 2, 1, 1, 1};
    bounds[n_loop] = n_count;
    int64_t m_stride = a_pitch / word_, a_base = a / word_, b_base = b / word_;
    const int64_t tile_words = cols * b_pitch / word_;
    a_base += k_begin;
    b_base += k_begin + n_begin * tile_words;
    int64_t a_k = 1, b_k = 1, n_stride = tile_words;
    Walk(bounds[0], m_stride, a_base, g.reverse & 1);
    Walk(bounds[1], a_k, a_base, g.reverse & 2);
    Walk(bounds[1], b_k, b_base, g.reverse & 2);
    Walk(n_count, n_stride, b_base, g.reverse & 4);
    Descriptor d(Opcode::kCompute);
    d.Set(FieldId::kTag, next_tag_);
    d.Set(FieldId::kFirst, first);
    d.Set(FieldId::kLast, last);
    d.Set(FieldId::kBLevel, 1);
    d.Set(FieldId::kStoreLevel, static_cast<int64_t>(n_loop));
    d.Set(FieldId::kHalves, halves);
    Loops b_bounds = bounds;
    b_bounds[0] = 1;
    Loops a_strides = {m_stride, a_k, a_low / word_, 0, 0, 0};
    Loops b_strides = {0, b_k, b_low / word_, 0, 0, 0};
    a_strides[n_loop] = 0;
    b_strides[n_loop] = n_stride;
    SetLoops(d, FieldId::kBound, FieldId::kBInc, b_bounds, b_strides);
    SetLoops(d, FieldId::kBound, FieldId::kAInc, bounds, a_strides);
    d.Set(FieldId::kABase, a_base);
    d.Set(FieldId::kBBase, b_base);
    d.Set(FieldId::kBColInc, b_pitch / word_);
    Add(d, {a_extent, b_extent});
  };
  auto vector = [&](int64_t n_begin, int64_t n_count) {
    const Loops bounds = {g.m, n_count, 1, 1, 1, 1};
    int64_t out_base = out + n_begin * cols * out_bytes, aux_base = aux + n_begin * aux_slot;
    int64_t out_m = RowBytes(g.out), aux_m = aux_row;
    int64_t out_n = cols * out_bytes, aux_n = aux_slot;
    Walk(bounds[0], out_m, out_base, g.reverse & 1);
    Walk(bounds[0], aux_m, aux_base, g.reverse & 1);
    Walk(bounds[1], out_n, out_base, g.reverse & 4);
    Walk(bounds[1], aux_n, aux_base, g.reverse & 4);
    Descriptor d(Opcode::kVector);
    d.Set(FieldId::kTag, next_tag_);
    d.Set(FieldId::kPopLevel, 1);
    d.Set(FieldId::kUseScale, g.scalar >= 0);
    d.Set(FieldId::kScalar, std::max(g.scalar, 0));
    d.Set(FieldId::kAuxKind, static_cast<int64_t>(aux_kind));
    d.Set(FieldId::kRelu, g.relu);
    d.Set(FieldId::kOutFp32, out_bytes == 4 && operand_ == 2);
    // Running backwards, zeros would fall on what is already there.
    const bool ends_row = n_begin + n_count == n_tiles && !(g.reverse & 4);
    d.Set(FieldId::kTailLoop, ends_row ? 1 : isa::kNoTail);
    SetLoops(d, FieldId::kVBound, FieldId::kOutInc, bounds, {out_m, out_n, 0, 0, 0, 0});
    if (aux_kind != Aux::kNone) {
      SetLoops(d, FieldId::kVBound, FieldId::kAuxInc, bounds, {aux_m, aux_n, 0, 0, 0, 0});
      d.Set(FieldId::kAuxBase, aux_base);
    }
    d.Set(FieldId::kOutBase, out_base);
    Add(d, {out_extent, aux_extent});
  };
  if (g.k_split > 0 && g.k_split < k_words) {
    // Sums that go on from job to job belong to one tile.
    for (int64_t tile = 0; tile < n_tiles; ++tile) {
      const int64_t cut = g.reverse & 2 ? k_words - g.k_split : g.k_split;
      const bool back = g.reverse & 2;
      compute(back ? cut : 0, back ? k_words : cut, tile, 1, true, false);
      compute(back ? 0 : cut, back ? cut : k_words, tile, 1, false, true);
      vector(tile, 1);
    }
  } else {
    compute(0, k_words, 0, n_tiles, true, true);
    vector(0, n_tiles);
  }
  StoreWhole(g.out, out);
  result_.macs += static_cast<uint64_t>(g.m * g.n * g.k);
  next_tag_ = (next_tag_ + 1) % isa::kTags;
}

bool Builder::RandomNest(uint32_t begin, int64_t words, int out) {
  Loops bounds, a_strides{}, b_strides{};
  bounds.fill(1);
  const int b_level = 1 + static_cast<int>(random_.Below(4));
  const int store_level =
      b_level + static_cast<int>(random_.Below(static_cast<uint64_t>(6 - b_level)));
  const bool halves = HasHalves() && store_level > b_level && random_.Below(2) == 0;
  int64_t entries = 1, sets = 1;
  for (int k = 0; k < 6; ++k) {
    bounds[k] = 1 + static_cast<int64_t>(random_.Below(k < b_level ? 6 : 3));
    if (halves && k == store_level - 1) bounds[k] = 2;
    if (k < b_level && entries * bounds[k] > max_m()) bounds[k] = 1;
    if (k < b_level) entries *= bounds[k];
    if (k >= store_level) sets *= bounds[k];
    a_strides[k] = static_cast<int64_t>(random_.Below(7)) - 3;
    if (k >= b_level) b_strides[k] = static_cast<int64_t>(random_.Below(7)) - 3;
  }
  // The base that keeps the walk inside.
  const int64_t col_step = static_cast<int64_t>(random_.Below(3));
  auto place = [&](const Loops& strides, int64_t extra) -> int64_t {
    int64_t low = 0, high = extra;
    for (int k = 0; k < 6; ++k) {
      const int64_t reach = (bounds[k] - 1) * strides[k];
      (reach < 0 ? low : high) += reach;
    }
    if (high - low >= words) return -1;
    return begin / word_ - low +
           static_cast<int64_t>(random_.Below(static_cast<uint64_t>(words - (high - low))));
  };
  const int64_t a_base = place(a_strides, 0);
  const int64_t b_base = place(b_strides, col_step * (variant_.array.cols - 1));
  if (a_base < 0 || b_base < 0) return false;
  const bool wide = operand_ == 2 && random_.Below(2);
  const int64_t slot = variant_.array.cols * (wide ? 4 : operand_);
  const int64_t bytes = RoundUp(entries * sets * slot, std::max<int64_t>(kAccessBytes, word_));
  if (bytes > RowBytes(out)) return false;
  const uint32_t region = Room(static_cast<uint64_t>(RowBytes(out)));
  const auto end = begin + static_cast<uint64_t>(words * word_);
  if (region < end && begin < region + RowBytes(out)) return false;  // over its own operands

  Descriptor c(Opcode::kCompute);
  c.Set(FieldId::kTag, next_tag_);
  c.Set(FieldId::kFirst, 1);
  c.Set(FieldId::kLast, 1);
  c.Set(FieldId::kBLevel, b_level);
  c.Set(FieldId::kStoreLevel, store_level);
  c.Set(FieldId::kHalves, halves);
  Loops b_bounds = bounds;
  std::fill(b_bounds.begin(), b_bounds.begin() + b_level, 1);
  SetLoops(c, FieldId::kBound, FieldId::kBInc, b_bounds, b_strides);
  SetLoops(c, FieldId::kBound, FieldId::kAInc, bounds, a_strides);
  c.Set(FieldId::kABase, a_base);
  c.Set(FieldId::kBBase, b_base);
  c.Set(FieldId::kBColInc, col_step);
  Add(c, {{false, false, begin, end}});

  // Entry by entry, set by set, one after the other.
  Descriptor v(Opcode::kVector);
  v.Set(FieldId::kTag, next_tag_);
  v.Set(FieldId::kPopLevel, b_level);
  v.Set(FieldId::kOutFp32, wide);
  v.Set(FieldId::kRelu, static_cast<int64_t>(random_.Below(2)));
  v.Set(FieldId::kUseScale, static_cast<int64_t>(random_.Below(2)));
  v.Set(FieldId::kScalar, static_cast<int64_t>(random_.Below(isa::kScalars)));
  v.Set(FieldId::kTailLoop, isa::kNoTail);
  Loops v_bounds, strides;
  int64_t out_base = region, stride = slot;
  for (int k = 0; k < 6; ++k) {
    v_bounds[k] = k < b_level || k >= store_level ? bounds[k] : 1;
    strides[k] = stride;
    stride *= v_bounds[k];
    Walk(v_bounds[k], strides[k], out_base, random_.Below(2));
  }
  SetLoops(v, FieldId::kVBound, FieldId::kOutInc, v_bounds, strides);
  v.Set(FieldId::kOutBase, out_base);
  Add(v, {{false, true, region, region + static_cast<uint64_t>(RowBytes(out))}});
  StoreWhole(out, region);
  next_tag_ = (next_tag_ + 1) % isa::kTags;
  return true;
}

void Builder::Softmax(int logits, int labels, int gradient, int loss, int64_t rows, int64_t classes,
                      int scalar) {
  const uint32_t in = LoadWhole(logits);
  const uint32_t label = LoadWhole(labels);
  const uint32_t grad = Room(static_cast<uint64_t>(rows * RowBytes(gradient)));
  const uint32_t losses = Room(static_cast<uint64_t>(RowBytes(loss)));
  Descriptor d(Opcode::kSoftmax);
  d.Set(FieldId::kTag, next_tag_);
  d.Set(FieldId::kSRows, rows);
  d.Set(FieldId::kClasses, classes);
  d.Set(FieldId::kLogitsAddr, in);
  d.Set(FieldId::kLogitsPitch, RowBytes(logits));
  d.Set(FieldId::kLabelsAddr, label);
  d.Set(FieldId::kGradAddr, grad);
  d.Set(FieldId::kGradPitch, RowBytes(gradient));
  d.Set(FieldId::kLossAddr, losses);
  d.Set(FieldId::kSScalar, scalar);
  const auto end = [](uint32_t begin, int64_t bytes) {
    return begin + static_cast<uint64_t>(bytes);
  };
  Add(d, {{false, false, in, end(in, rows * RowBytes(logits))},
          {false, false, label, end(label, RowBytes(labels))},
          {false, true, grad, end(grad, rows * RowBytes(gradient))},
          {false, true, losses, end(losses, RowBytes(loss))}});
  StoreWhole(gradient, grad);
  StoreWhole(loss, losses);
  next_tag_ = (next_tag_ + 1) % isa::kTags;
}

void Builder::RunLanes(const lanes::Program& program, const lanes::Job& job,
                       std::vector<Extent> extents) {
  const std::vector<uint32_t> words = program.Words();
  const auto size = static_cast<int64_t>(words.size());
  const int tensor =
      AddTensor(fmt::format("lanes{}", steps_.size()), ElementFormat::kFp32, 1, size);
  Fill(tensor, [&](int64_t, int64_t col) { return words[static_cast<size_t>(col)]; });
  const uint32_t at = LoadWhole(tensor);
  Descriptor d = MakeDescriptor(program, at / static_cast<uint32_t>(word_), job);
  d.Set(FieldId::kTag, next_tag_);
  extents.push_back({false, false, at, at + static_cast<uint64_t>(4 * size)});
  Add(d, std::move(extents));
  next_tag_ = (next_tag_ + 1) % isa::kTags;
}

// ---- order

// One semaphore per ordered pair of engines. Where a step needs a later step of the other engine
// than any before it did, that one signals and this one waits. VECTOR needs none of COMPUTE's: it
// takes the sums as they come, and what COMPUTE read is read once its sums are there.
void Builder::AddSemaphores() {
  // [waiter][signaller], last step waited for.
  std::array<std::array<int, isa::kEngines>, isa::kEngines> met;
  for (auto& row : met) row.fill(-1);
  auto conflict = [](const Step& a, const Step& b) {
    for (const Extent& x : a.extents) {
      for (const Extent& y : b.extents) {
        if (x.dram == y.dram && (x.write || y.write) && x.begin < y.end && y.begin < x.end)
          return true;
      }
    }
    return false;
  };
  for (int j = 0; j < static_cast<int>(steps_.size()); ++j) {
    const Engine to = steps_[j].engine;
    const int waiter = static_cast<int>(to);
    for (int other = 0; other < isa::kEngines; ++other) {
      const auto from = static_cast<Engine>(other);
      if (from == to || (from == Engine::kCompute && to == Engine::kVector)) continue;
      int i = j - 1;
      while (i > met[waiter][other] &&
             (steps_[i].engine != from || !conflict(steps_[i], steps_[j]))) {
        --i;
      }
      if (i <= met[waiter][other]) continue;
      met[waiter][other] = i;
      Order(steps_[i].descriptor, steps_[j].descriptor);
    }
  }
}

KernelProgram Builder::Finish(const std::string& name) {
  AddSemaphores();
  ProgramStream stream;
  stream.name = "train";
  NodeProgram& node = stream.nodes.emplace_back();
  node.address = next_address_;
  for (const Step& step : steps_) node.descriptors.push_back(step.descriptor);
  node.descriptors.emplace_back(Opcode::kEnd);
  std::vector<uint8_t> bytes = DescriptorBytes(node);
  Program& program = result_.program;
  program.network = name;
  program.memory_bytes = node.address + bytes.size();
  program.image.push_back({node.address, std::move(bytes)});
  program.streams.push_back(std::move(stream));
  return std::move(result_);
}

}  // namespace vaultrain::kernels
