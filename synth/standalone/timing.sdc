@HEADER@
#
# Timing constraints of @TOP@. The surroundings take a fifth of the period before an input arrives and after an output
# leaves.
set period @CLOCK_NS@
create_clock -name clk_i -period $period [get_ports clk_i]
set inputs {}
foreach port [all_inputs] {
  if {[get_property $port full_name] ne "clk_i"} { lappend inputs $port }
}
set_input_delay [expr {0.2 * $period}] -clock clk_i $inputs
set_output_delay [expr {0.2 * $period}] -clock clk_i [all_outputs]
