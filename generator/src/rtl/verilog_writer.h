// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The one place that prints Verilog.

#ifndef VAULTRAIN_SRC_RTL_VERILOG_WRITER_H_
#define VAULTRAIN_SRC_RTL_VERILOG_WRITER_H_

#include <string>

#include "rtl/component.h"

namespace vaultrain::rtl {

// Verilog-2005 of one module, behind `opening` (comment lines of the generated file). Throws
// std::logic_error, which is an error of ours, for a name that is illegal or taken, a net that does
// not exist or is shorter than its slice, and a port or parameter that is connected twice.
std::string WriteVerilog(const Component& component, const std::string& opening);

}  // namespace vaultrain::rtl

#endif  // VAULTRAIN_SRC_RTL_VERILOG_WRITER_H_
