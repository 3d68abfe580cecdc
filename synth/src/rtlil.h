// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The elaborated hierarchy as Yosys writes it (RTLIL), cut into blocks with readable module names.

#ifndef VAULTRAIN_SRC_RTLIL_H_
#define VAULTRAIN_SRC_RTLIL_H_

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vaultrain {

// Parameters of one vt_sram.
struct SramShape {
  int depth = 64, width = 32, granule = 32, single_port = 0, addr_bits = 6;
  auto operator<=>(const SramShape&) const = default;
  std::string Module() const;  // e.g. vt_sram_64x32_g32_1r1w
};

struct RtlilModule {
  std::string base;                      // name in the source
  std::string body;                      // without the line "module" and the last "end"
  std::string ports;                     // the wires that are ports
  std::map<std::string, long> children;  // by name
  std::vector<std::pair<std::string, std::string>> instances;  // name and module of each
  std::map<SramShape, long> memories;
  std::set<std::string> arrays;  // registers with elements, by name with generate blocks
};

// One bit of a variable below an instance.
struct RtlilBit {
  std::string module;  // name in the source
  std::string scope;   // instances and generate blocks below the instance; empty: itself
  std::string name;
  int element = -1;  // of an array; negative: none
  int bit = 0;
};

class Rtlil {
 public:
  // Modules get their source name; a second parametrisation gets _2 and so on.
  static Rtlil Parse(std::string_view text, std::string_view top);

  const std::map<std::string, RtlilModule>& modules() const { return modules_; }
  const std::string& top() const { return top_; }

  // The module with all it instantiates; modules of `boxes` below it are empty, and so are
  // memories.
  std::string Cut(const std::string& module, const std::set<std::string>& boxes) const;

  // What stands in one module and in all below it down to `boxes`.
  std::map<SramShape, long> Memories(const std::string& module,
                                     const std::set<std::string>& boxes) const;

  // Paths of all instances of a module, "top.u_a.gen_b[0].u_c".
  std::vector<std::string> PathsOf(const std::string& module) const;

  // The variable behind a name in the flat netlist of a module: "u_a.gen_b[0].data_q[3][12]".
  RtlilBit Find(const std::string& module, std::string_view flat) const;

  // Output ports of a module.
  std::set<std::string> Outputs(const std::string& module) const;

  // How often each of `modules` stands in one instance of `root`, itself included.
  std::map<std::string, long> Instances(const std::string& root,
                                        const std::set<std::string>& modules) const;

 private:
  std::map<std::string, RtlilModule> modules_;
  std::string top_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_RTLIL_H_
