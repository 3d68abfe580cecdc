// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Parts of images between memory and scratchpad.

#include <algorithm>

#include "mapper/mapping.h"

namespace vaultrain {

using isa::Descriptor;
using isa::FieldId;

int64_t Mapper::SamplesOfTurn(const Raster& raster,
                              const std::vector<std::pair<int, int64_t>>& pitches) const {
  const int64_t half = raster.samples / 2;
  if (raster.groups > 1 || raster.image.pixels() == 1 || half < v_.array.cols) {
    return raster.samples;
  }
  for (const auto& [tensor, pitch] : pitches) {
    const ProgramTensor& t = local_[tensor];
    const int64_t stored = RoundUp(t.cols * BytesOf(t), kAccess);
    const bool may_turn = BytesOf(t) == operand_ || HasHalves(t);
    if (!may_turn || t.pitch_bytes != pitch || stored != pitch) return raster.samples;
  }
  return half;
}

int64_t Mapper::SamplesOfFlatTurn() const {
  const bool images = std::any_of(graph_.layers.begin(), graph_.layers.end(),
                                  [](const auto& l) { return l.from.pixels() > 1; });
  const int64_t half = word_elements_ / 2;
  const bool turns = images && grid_.places.size() > 1 && grid_.outputs.parts == 1 &&
                     local_batch_ == word_elements_ && half >= v_.array.cols;
  return turns ? half : local_batch_;
}

Step Mapper::MoveTurn(Engine engine, int tensor, int64_t row, int64_t pixels, const Samples& of,
                      int buffer, int64_t offset, int tag, Half half) const {
  const ProgramTensor& t = local_[tensor];
  const int64_t samples = raster_.at(tensor).samples;
  const int64_t pitch = t.pitch_bytes;
  const bool converts = half != Half::kNone;
  const int64_t spad_pitch = of.count * pitch / (converts ? 2 : 1);
  const bool loads = engine == Engine::kLoad;
  Step step;
  step.engine = engine;
  step.buffers = {{buffer, loads}};
  Rect rect{tensor, row, row + pixels * samples, 0, t.cols};
  rect.sample_begin = of.begin;
  rect.sample_end = of.begin + of.count;
  step.dram = {{rect, !loads}};
  if (!converts) step.copy = {offset, spad_pitch};
  step.cycles = pixels * of.count * pitch / beat_;
  const int64_t address = static_cast<int64_t>(t.address) + (row + of.begin) * pitch;
  step.make = [=, this](const Place&) {
    Descriptor d(loads ? isa::Opcode::kLoad : isa::Opcode::kStore);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kDramAddr, address);
    d.Set(FieldId::kRows, pixels);
    d.Set(FieldId::kRowAccesses, of.count * pitch / kAccess);
    d.Set(FieldId::kDramPitch, samples * pitch);
    d.Set(FieldId::kSpadAddr, s_->AddressOf(buffer) + offset);
    d.Set(FieldId::kSpadPitch, spad_pitch);
    d.Set(FieldId::kConvert, converts);
    d.Set(FieldId::kHalf, static_cast<int64_t>(half));
    return d;
  };
  return step;
}

void Mapper::AddPatchLoads(std::vector<Load>& loads, int tensor, const Patch& p, int64_t col,
                           int64_t cols, int64_t pitch, int buffer, int tag, int64_t low) const {
  const Raster& r = raster_.at(tensor);
  const int64_t rows = p.pixels == r.image.width ? p.rows : 1;  // in one LOAD
  Load load;
  for (int64_t y = 0; y < p.rows; y += rows) {
    const int64_t row = r.Row(p.of.group, p.y + y, p.x);
    const int64_t offset = y * p.pixels * p.of.count * pitch;
    const int64_t pixels = p.pixels * rows;
    auto add = [&](int64_t at, Half half) {
      load.steps.push_back(
          p.of.count < r.samples && pixels > 1
              ? MoveTurn(Engine::kLoad, tensor, row, pixels, p.of, buffer, at, tag, half)
              : LoadPlain(tensor, row + p.of.begin, pixels * p.of.count, col, cols, 0, pitch,
                          half != Half::kNone, buffer, tag, at, half));
    };
    add(offset, low > 0 ? Half::kHigh : Half::kNone);
    if (low > 0) add(offset + low, Half::kLow);
  }
  loads.push_back(std::move(load));
}

// Transposed: rows of the buffer are channels, words the samples of a pixel.
void Mapper::AddTurnedLoads(std::vector<Load>& loads, int tensor, const Patch& p, int64_t col,
                            int64_t cols, int buffer, int tag, int64_t low) const {
  const Raster& r = raster_.at(tensor);
  const bool whole = p.pixels == r.image.width;
  const int64_t of_row = p.pixels * r.samples;
  const int64_t pitch = p.rows * of_row * operand_;
  Load load;
  for (int64_t y = 0; y < p.rows; y += whole ? p.rows : 1) {
    auto add = [&](int64_t at, Half half) {
      for (Step& step :
           LoadTransposed(tensor, r.Row(p.of.group, p.y + y, p.x), of_row * (whole ? p.rows : 1),
                          col, cols, 0, pitch, buffer, y * of_row * operand_ + at, tag, half)) {
        load.steps.push_back(std::move(step));
      }
    };
    add(0, low > 0 ? Half::kHigh : Half::kNone);
    if (low > 0) add(low, Half::kLow);
  }
  loads.push_back(std::move(load));
}

void Mapper::AddPatchStores(std::vector<Step>& stores, int tensor, const Patch& p, int64_t col,
                            int64_t cols, int64_t pitch, int buffer, int tag) {
  const Raster& r = raster_.at(tensor);
  if (p.y == 0 && p.x == 0 && cols == local_[tensor].cols) {
    stored_in_[tensor] = {{p.rows, p.pixels}, stored_in_.size()};
  }
  const int64_t rows = p.pixels == r.image.width ? p.rows : 1;
  for (int64_t y = 0; y < p.rows; y += rows) {
    const int64_t row = r.Row(p.of.group, p.y + y, p.x);
    const int64_t offset = y * p.pixels * p.of.count * pitch;
    const int64_t pixels = p.pixels * rows;
    stores.push_back(p.of.count < r.samples && pixels > 1
                         ? MoveTurn(Engine::kStore, tensor, row, pixels, p.of, buffer, offset, tag)
                         : StorePlain(tensor, row + p.of.begin, pixels * p.of.count, col, cols,
                                      pitch, buffer, tag, offset));
  }
}

std::optional<Tile> Mapper::TileAsStored(const std::vector<int>& tensors,
                                         int64_t most_pixels) const {
  const StoredTile* last = nullptr;
  for (const int tensor : tensors) {
    const auto found = stored_in_.find(tensor);
    if (found == stored_in_.end() || found->second.tile.pixels != raster_.at(tensor).image.width) {
      continue;
    }
    if (last == nullptr || found->second.order > last->order) last = &found->second;
  }
  if (last == nullptr || last->tile.rows * last->tile.pixels > most_pixels) return std::nullopt;
  return last->tile;
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

}  // namespace vaultrain
