// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "sram_outline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "macros.h"

namespace vaultrain {
namespace {

// As fakeram draws them: stripes of four pin widths, VSS and VDD in turn every eight pitches.
constexpr double kStripeWidths = 4;
constexpr double kStripePitches = 8;
// Tracks at the lower and the upper edge without a pin.
constexpr int kFreeTracks = 2;

double SnapUp(double length_um, double step_um) {
  return std::ceil(length_um / step_um - 1e-9) * step_um;
}

std::vector<std::string> Bits(const std::string& name, int width) {
  std::vector<std::string> bits;
  for (int bit = 0; bit < width; ++bit) bits.push_back(fmt::format("{}[{}]", name, bit));
  return bits;
}

std::string Rect(double left, double bottom, double right, double top) {
  return fmt::format("RECT {:.3f} {:.3f} {:.3f} {:.3f} ;", left, bottom, right, top);
}

}  // namespace

std::string SramLef(const SramShape& shape, const SramTable& table, const OrfsPlatform& platform,
                    const std::string& header) {
  std::vector<std::string> inputs = {"clk_i", "ren_i"};
  for (const auto& [bus, width] :
       {std::pair("raddr_i", shape.addr_bits), std::pair("wen_i", shape.width / shape.granule),
        std::pair("waddr_i", shape.addr_bits), std::pair("wdata_i", shape.width)}) {
    for (std::string& bit : Bits(bus, width)) inputs.push_back(std::move(bit));
  }
  const std::vector<std::string> outputs = Bits("rdata_o", shape.width);

  const double pitch = platform.pin_pitch_um;
  const auto most = static_cast<double>(std::max(inputs.size(), outputs.size()));
  const double area = SramArea(shape, table);
  const double height =
      SnapUp(std::max(std::sqrt(area), (most + 2 * kFreeTracks) * pitch), platform.row_height_um);
  const double width = SnapUp(area / height, platform.site_width_um);

  const std::string name = shape.Module();
  std::string text = header;
  text += "VERSION 5.7 ;\nBUSBITCHARS \"[]\" ;\nDIVIDERCHAR \"/\" ;\n\n";
  text += fmt::format(
      "MACRO {0}\n  CLASS BLOCK ;\n  FOREIGN {0} 0 0 ;\n  ORIGIN 0 0 ;\n  SIZE {1:.3f} BY {2:.3f} "
      ";\n"
      "  SYMMETRY X Y ;\n",
      name, width, height);
  auto side = [&](const std::vector<std::string>& pins, bool input) {
    const double tracks = std::floor(height / pitch) - 2 * kFreeTracks;
    const double step = std::max(1.0, std::floor(tracks / static_cast<double>(pins.size())));
    for (size_t i = 0; i < pins.size(); ++i) {
      const double middle = (kFreeTracks + static_cast<double>(i) * step) * pitch;
      const double left = input ? 0 : width - platform.pin_length_um;
      text += fmt::format(
          "  PIN {0}\n    DIRECTION {1} ;\n    USE {2} ;\n    PORT\n      LAYER {3} ;\n      {4}\n"
          "    END\n  END {0}\n",
          pins[i], input ? "INPUT" : "OUTPUT", pins[i] == "clk_i" ? "CLOCK" : "SIGNAL",
          platform.pin_layer,
          Rect(left, middle - platform.pin_width_um / 2, left + platform.pin_length_um,
               middle + platform.pin_width_um / 2));
    }
  };
  side(inputs, true);
  side(outputs, false);

  // Stripes keep clear of the pins, which may be on the same layer.
  const double clear = 2 * platform.pin_length_um;
  const double stripe = kStripeWidths * platform.pin_width_um;
  const double across = platform.power_upright ? width : height;
  for (const auto& [net, first] : {std::pair("VSS", 0), std::pair("VDD", 1)}) {
    text +=
        fmt::format("  PIN {}\n    DIRECTION INOUT ;\n    USE {} ;\n    PORT\n      LAYER {} ;\n",
                    net, first == 0 ? "GROUND" : "POWER", platform.power_layer);
    for (int i = first;; i += 2) {
      const double at = clear + i * kStripePitches * pitch;
      if (at + stripe > across - clear) break;
      text += "      " +
              (platform.power_upright ? Rect(at, clear, at + stripe, height - clear)
                                      : Rect(clear, at, width - clear, at + stripe)) +
              "\n";
    }
    text += fmt::format("    END\n  END {}\n", net);
  }
  text += "  OBS\n";
  for (const std::string& layer : platform.layers) {
    const double inset = layer == platform.pin_layer ? clear : 0;
    text += fmt::format("    LAYER {} ;\n    {}\n", layer, Rect(inset, 0, width - inset, height));
  }
  return text + fmt::format("  END\nEND {}\n\nEND LIBRARY\n", name);
}

}  // namespace vaultrain
