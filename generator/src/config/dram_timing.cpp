// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/dram_timing.h"

#include <toml++/toml.h>
#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>

#include "vaultrain/error.h"

namespace vaultrain {
namespace {

struct TimeKey {
  std::string_view name;
  int64_t DramSet::*field;
};

constexpr TimeKey kTimeKeys[] = {
    {"tRCD", &DramSet::tRCD_ps},   {"tRP", &DramSet::tRP_ps},   {"tCL", &DramSet::tCL_ps},
    {"tCWL", &DramSet::tCWL_ps},   {"tRAS", &DramSet::tRAS_ps}, {"tRRD", &DramSet::tRRD_ps},
    {"tFAW", &DramSet::tFAW_ps},   {"tCCD", &DramSet::tCCD_ps}, {"tWTR", &DramSet::tWTR_ps},
    {"tWR", &DramSet::tWR_ps},     {"tRTP", &DramSet::tRTP_ps}, {"tRFC", &DramSet::tRFC_ps},
    {"tREFI", &DramSet::tREFI_ps},
};

struct SizeKey {
  std::string_view name;
  int DramSet::*field;
  int least;
  int most;
  bool power_of_two;
};

constexpr SizeKey kSizeKeys[] = {
    {"banks", &DramSet::banks, 2, 32, true},
    {"rows", &DramSet::rows, 16, 1 << 20, true},
    {"page_bytes", &DramSet::page_bytes, 64, 1 << 16, true},
    {"burst_beats", &DramSet::burst_beats, 2, 64, true},
};

constexpr double kLongestNs = 1e6;

const toml::table& Section(const std::string& path, const toml::table& file,
                           std::string_view name) {
  const toml::table* table = file[name].as_table();
  if (table == nullptr) RefuseInput("{}: section [{}] is missing", path, name);
  return *table;
}

template <typename Keys>
void RefuseUnknown(const std::string& path, std::string_view section, const toml::table& table,
                   const Keys& keys) {
  for (const auto& [key, value] : table) {
    std::string_view name = key.str();
    bool known = std::any_of(std::begin(keys), std::end(keys),
                             [&](const auto& entry) { return entry.name == name; });
    if (known) continue;
    std::string accepted;
    for (const auto& entry : keys) accepted += fmt::format(" {}", entry.name);
    RefuseInput("{}: {}.{} is no key of a timing set; keys are{}", path, section, name, accepted);
  }
}

}  // namespace

DramSet ReadDramSet(const std::string& path) {
  toml::table file;
  try {
    file = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    RefuseInput("{}:{}: {}; a timing set is a TOML file like constraints/dram/hmc1.toml", path,
                error.source().begin.line, error.description());
  }
  for (const auto& [key, value] : file) {
    std::string_view name = key.str();
    if (name != "schema" && name != "name" && name != "timing_ns" && name != "geometry") {
      RefuseInput("{}: {} is no key of a timing set; keys are schema name timing_ns geometry", path,
                  name);
    }
  }
  if (file["schema"].value<int64_t>() != 1) RefuseInput("{}: schema must be 1", path);
  DramSet set;
  set.name = file["name"].value_or(std::string());
  if (set.name.empty()) RefuseInput("{}: name must be a string that is not empty", path);

  const toml::table& times = Section(path, file, "timing_ns");
  RefuseUnknown(path, "timing_ns", times, kTimeKeys);
  for (const TimeKey& key : kTimeKeys) {
    auto ns = times[key.name].value<double>();
    if (!ns) RefuseInput("{}: timing_ns.{} must be a number of nanoseconds", path, key.name);
    if (!(*ns > 0 && *ns <= kLongestNs)) {
      RefuseInput("{}: timing_ns.{} = {} must be above 0 and at most {} ns", path, key.name, *ns,
                  kLongestNs);
    }
    set.*key.field = std::llround(*ns * 1000);
  }
  const toml::table& sizes = Section(path, file, "geometry");
  RefuseUnknown(path, "geometry", sizes, kSizeKeys);
  for (const SizeKey& key : kSizeKeys) {
    auto size = sizes[key.name].value<int64_t>();
    if (!size) RefuseInput("{}: geometry.{} must be an integer", path, key.name);
    if (*size < key.least || *size > key.most ||
        (key.power_of_two && !std::has_single_bit(static_cast<uint64_t>(*size)))) {
      RefuseInput("{}: geometry.{} = {} must be a power of two from {} to {}", path, key.name,
                  *size, key.least, key.most);
    }
    set.*key.field = static_cast<int>(*size);
  }
  if (set.tRAS_ps < set.tRCD_ps) {
    RefuseInput(
        "{}: timing_ns.tRAS must be at least tRCD, a row must stay open until its first access",
        path);
  }
  if (set.tFAW_ps < set.tRRD_ps) RefuseInput("{}: timing_ns.tFAW must be at least tRRD", path);
  if (set.tREFI_ps < 2 * set.tRFC_ps) {
    RefuseInput("{}: timing_ns.tREFI must be at least twice tRFC", path);
  }
  return set;
}

DramTiming CyclesAt(const DramSet& set, int64_t period_ps) {
  if (period_ps <= 0) RefuseInput("timing set {}: the clock period must be above 0 ps", set.name);
  auto up = [&](int64_t ps) {
    return static_cast<int>(std::max<int64_t>(1, (ps + period_ps - 1) / period_ps));
  };
  DramTiming cycles;
  cycles.tRCD = up(set.tRCD_ps);
  cycles.tRP = up(set.tRP_ps);
  cycles.tCL = up(set.tCL_ps);
  cycles.tCWL = up(set.tCWL_ps);
  cycles.tRAS = up(set.tRAS_ps);
  cycles.tRRD = up(set.tRRD_ps);
  cycles.tFAW = std::max(3, up(set.tFAW_ps));  // the least that vt_vault_banks counts
  cycles.tCCD = up(set.tCCD_ps);
  cycles.tWTR = up(set.tWTR_ps);
  cycles.tWR = up(set.tWR_ps);
  cycles.tRTP = up(set.tRTP_ps);
  cycles.tRFC = up(set.tRFC_ps);
  cycles.tREFI = static_cast<int>(set.tREFI_ps / period_ps);
  // What the controller needs between two refreshes: closing all banks and one access.
  int busy = cycles.tRFC + cycles.tRAS + cycles.tRP + cycles.tRCD + cycles.tCWL + cycles.tWR +
             4 * set.burst_beats + 64;
  if (cycles.tREFI <= busy) {
    RefuseInput(
        "timing set {}: at a clock of {} ps tREFI is {} cycles but a refresh with the accesses "
        "round it "
        "takes {}; take a shorter period",
        set.name, period_ps, cycles.tREFI, busy);
  }
  return cycles;
}

DramGeometry GeometryOf(const DramSet& set, int data_bits) {
  if (data_bits < 32 || data_bits > 512 || !std::has_single_bit(static_cast<unsigned>(data_bits))) {
    RefuseInput("timing set {}: {} data bits a cycle must be a power of two from 32 to 512",
                set.name, data_bits);
  }
  DramGeometry geometry;
  geometry.banks = set.banks;
  geometry.rows = set.rows;
  geometry.page_bytes = set.page_bytes;
  geometry.beats = set.burst_beats;
  geometry.data_bits = data_bits;
  if (geometry.Columns() < 2) {
    RefuseInput(
        "timing set {}: an access of {} bytes ({} beats of {} bit) must be at most half a page of "
        "{} bytes",
        set.name, geometry.AccessBytes(), geometry.beats, data_bits, set.page_bytes);
  }
  return geometry;
}

}  // namespace vaultrain
