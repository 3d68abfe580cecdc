// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Prints the constants of a table as a Verilog header of macros.
//
// A table describes itself to this printer and holds no Verilog of its own. Names are the table's,
// upper case, with a common prefix; the macro namespace of Verilog is global, so a name that is
// given twice is refused.

#ifndef VAULTRAIN_VERILOG_HEADER_H_
#define VAULTRAIN_VERILOG_HEADER_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace vaultrain {

class VerilogHeader {
 public:
  // `purpose` is the comment at the top, one or more lines; `prefix` comes before every name.
  VerilogHeader(std::string_view purpose, std::string_view prefix);

  // A comment line that opens a group of constants.
  void Section(std::string_view text);

  // A sized constant, printed in hexadecimal. Throws Error(kInternal) if `value` needs more than
  // `bits` (1 to 64) bits.
  void Constant(std::string_view name, int bits, uint64_t value);

  // A plain decimal number, for counts and widths.
  void Number(std::string_view name, uint64_t value);

  // A bit or part select, to stand between the brackets of a vector.
  void BitRange(std::string_view name, int msb, int lsb);

  // The file with its licence, purpose and include guard. The same calls give the same bytes.
  std::string Text() const;

 private:
  void Define(std::string_view name, const std::string& value);

  std::string purpose_;
  std::string prefix_;
  std::string body_;
  std::set<std::string, std::less<>> names_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_VERILOG_HEADER_H_
