// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A variant: every parameter of one generated module, checked.
//
// One table (VariantKeys) holds each key with its type, default, range, unit and meaning; the TOML
// parser, --set, the nearest-key message, `vaultrain list --keys`, the resolved TOML and the digest
// are made from it. Rules that join several keys stand in VariantRules, each under a name.

#ifndef VAULTRAIN_VARIANT_H_
#define VAULTRAIN_VARIANT_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vaultrain/digest.h"
#include "vaultrain/number_format.h"

namespace vaultrain {

// Fields are named like their keys. A Variant that came out of LoadVariant or ParseVariant keeps
// every range and rule.
struct Variant {
  std::string name;             // [a-z][a-z0-9_-]*
  NumberFormat operand_format;  // of the two operands of a product; sums are fp32
  int fraction_bits;            // of fx16, below the point; else 0
  std::string gradient_format;  // of gradients where they are multiplied: "operand", "fx32"
  Rounding rounding;            // of results into operands
  int vaults;
  int clock_ps;

  struct Array {
    int rows;        // dot units chained along K per column
    int cols;        // outputs N per cycle
    int lanes;       // products of one dot unit, which share one alignment
    int align_bits;  // bits of the aligned products
    int acc_depth;   // fp32 entries of accumulator memory per column, both halves together
  } array;

  struct Scratchpad {
    int kib;
    int banks;
  } scratchpad;

  struct Vector {
    int softmax_classes;  // most elements of one softmax row
  } vector;

  struct Lanes {
    int functions;  // lanes whose 2^x, log2 x, 1/x or 1/sqrt x are made in one cycle
  } lanes;

  struct Dram {
    std::string timing;  // name of a set in constraints/
    int data_bits;       // per clock cycle and vault
    int mib;             // capacity per vault
    std::string page;    // "open", "closed"
    std::string map;     // "row_bank_col", "row_col_bank"
    int bank_rotate;     // digits of the row
    int read_queue;      // accesses
    int read_window;     // accesses
    int write_queue;     // accesses
    int write_window;    // accesses
    std::string ecc;     // "off", "on"
  } dram;

  struct Mesh {
    int x;          // columns of nodes
    int y;          // rows of nodes
    int link_bits;  // payload of a link per cycle
  } mesh;

  struct Sequencer {
    int queue;  // descriptors per engine
  } sequencer;

  struct Host {
    int id_bits;  // of the AXI4 memory port
  } host;

  // ---- derived quantities

  // Bits of an operand: 16 for bf16, fx16 and fp16, 32 for fp32.
  int OperandBits() const { return FormatBits(operand_format); }
  // Whether gradients have two operands a value.
  bool HasWideGradients() const { return gradient_format == "fx32"; }
  // Bits of a word of the scratchpad and the operand streams: the K elements that the array takes
  // per column and cycle.
  int WordBits() const { return array.rows * array.lanes * OperandBits(); }
  // Operand elements in a word: rows * lanes.
  int WordElements() const { return array.rows * array.lanes; }
  // Multiply-accumulates per cycle at peak: rows * cols * lanes.
  int MacsPerCycle() const { return array.rows * array.cols * array.lanes; }
  // fp32 entries of one of the two halves of a column's accumulator memory.
  int AccHalfDepth() const { return array.acc_depth / 2; }
  // Words of the whole scratchpad, a power of two.
  int ScratchpadWords() const { return scratchpad.kib * 1024 / (WordBits() / 8); }
  // Words of one scratchpad bank, a power of two.
  int BankWords() const { return ScratchpadWords() / scratchpad.banks; }
  // DRAM beats (cycles of data) of a word; whole, since both are powers of two and no word is
  // narrower than a beat.
  int WordBeats() const { return WordBits() / dram.data_bits; }
  // Bytes of one vault's memory.
  int64_t VaultBytes() const { return int64_t{dram.mib} << 20; }
  // Bytes of the whole module's memory.
  int64_t ModuleBytes() const { return VaultBytes() * vaults; }
  // Bits of a byte address in the module's memory.
  int AddressBits() const;
  // Data bits of the host's AXI4 memory port: those of a vault.
  int HostDataBits() const { return dram.data_bits; }
  // Clock frequency in Hz.
  double ClockHz() const { return 1e12 / clock_ps; }
};

// ---- the table

enum class KeyType { kText, kChoice, kInteger, kPowerOfTwo };

struct VariantKey {
  std::string_view key;  // dotted
  KeyType type;
  // Default as TOML would show it without quotes; where the default follows the operand format, one
  // per format in the order of NumberFormat. Empty: no default of its own (`name` takes the file's
  // stem).
  std::vector<std::string_view> defaults;
  int min;  // integers; inclusive
  int max;
  std::vector<std::string_view> choices;  // of kChoice
  std::string_view unit;                  // empty: a bare number
  std::string_view meaning;
  std::variant<int& (*)(Variant&), std::string& (*)(Variant&), NumberFormat& (*)(Variant&),
               Rounding& (*)(Variant&)>
      field;
};

// All keys, in the order of the resolved TOML (sections are contiguous).
const std::vector<VariantKey>& VariantKeys();

// What a key accepts, e.g. "integer 1..16", "power of two 32..2048", "one of bf16, fp32".
std::string AcceptedText(const VariantKey& key);
// The default as a person reads it, e.g. "24 (bf16), 36 (fp32)".
std::string DefaultText(const VariantKey& key);
// The value of a key in a variant, without quotes.
std::string ValueText(const VariantKey& key, const Variant& variant);

// The known key with the least edit distance to an unknown one.
std::string_view NearestKey(std::string_view unknown);

// ---- rules that join keys

struct VariantRule {
  std::string_view name;
  std::string_view meaning;
  // What is wrong and what would be accepted; empty if the variant keeps the rule. Null: needs more
  // than the variant and is checked where that is read (dram_*: LoadVaultDram).
  std::string (*broken)(const Variant&);
};

const std::vector<VariantRule>& VariantRules();

// Throws Error(kUnusableInput) that names the first broken rule, with `origin` (a file or name) in
// front.
void CheckVariantRules(const Variant& variant, std::string_view origin);

// ---- reading and writing

// A shipped name (NAME.toml in one of search_dirs) or the path of a TOML file; overrides are
// "key=value" and win. Throws Error(kUnusableInput) with file:line for a syntax error, an unknown
// key (nearest key named), a value of the wrong type or out of range, and for every broken rule.
Variant LoadVariant(std::string_view name_or_path, const std::vector<std::string>& overrides,
                    const std::vector<std::filesystem::path>& search_dirs);

// The same from TOML text; file_name is for messages and its stem the default of `name`.
Variant ParseVariant(std::string_view toml_text, std::string_view file_name,
                     const std::vector<std::string>& overrides = {});

// Throws Error(kUnusableInput) if "key=value" names no key, or a value that its key never takes.
void CheckOverride(const std::string& override);

// Names of the variants in the search dirs, sorted.
std::vector<std::string> ListVariants(const std::vector<std::filesystem::path>& search_dirs);

// The canonical TOML: every key in the table's order, one a line. Parses back to the same variant.
std::string ResolvedToml(const Variant& variant);

// SHA-256 of ResolvedToml.
Digest VariantDigest(const Variant& variant);

// The reference of all keys and rules as Markdown.
std::string VariantReference();

}  // namespace vaultrain

#endif  // VAULTRAIN_VARIANT_H_
