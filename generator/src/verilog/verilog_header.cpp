// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/verilog_header.h"

#include <fmt/format.h>

#include "vaultrain/digest.h"
#include "vaultrain/error.h"

namespace vaultrain {

VerilogHeader::VerilogHeader(std::string_view purpose, std::string_view prefix)
    : purpose_(purpose), prefix_(prefix) {}

void VerilogHeader::Section(std::string_view text) { body_ += fmt::format("\n// ---- {}\n", text); }

void VerilogHeader::Constant(std::string_view name, int bits, uint64_t value) {
  if (bits < 1 || bits > 64 || (bits < 64 && value >> bits != 0)) {
    throw Error(ExitStatus::kInternal,
                fmt::format("{}: {} does not fit {} bits", name, value, bits));
  }
  Define(name, fmt::format("{}'h{:0{}x}", bits, value, (bits + 3) / 4));
}

void VerilogHeader::Number(std::string_view name, uint64_t value) {
  Define(name, fmt::format("{}", value));
}

void VerilogHeader::BitRange(std::string_view name, int msb, int lsb) {
  if (lsb < 0 || msb < lsb) {
    throw Error(ExitStatus::kInternal, fmt::format("{}: {}:{} is no bit range", name, msb, lsb));
  }
  Define(name, msb == lsb ? fmt::format("{}", msb) : fmt::format("{}:{}", msb, lsb));
}

void VerilogHeader::Define(std::string_view name, const std::string& value) {
  if (!names_.emplace(name).second) {
    throw Error(ExitStatus::kInternal, fmt::format("{}{} is defined twice", prefix_, name));
  }
  body_ += fmt::format("`define {}{:<28} {}\n", prefix_, name, value);
}

std::string VerilogHeader::Text() const {
  std::string text =
      "// SPDX-License-Identifier: Apache-2.0\n// Copyright the Vaultrain authors\n//\n";
  for (size_t begin = 0; begin < purpose_.size();) {
    const size_t end = std::min(purpose_.find('\n', begin), purpose_.size());
    text += begin == end ? "//\n" : fmt::format("// {}\n", purpose_.substr(begin, end - begin));
    begin = end + 1;
  }
  const std::string guard = prefix_ + "HEADER";
  return text +
         fmt::format("// Digest of the definitions: {}\n\n`ifndef {}\n`define {}\n{}\n`endif\n",
                     ToHex(Sha256(body_)), guard, guard, body_);
}

}  // namespace vaultrain
