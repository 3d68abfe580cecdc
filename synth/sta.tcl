# Worst path and power of one linked netlist. The caller sets the variables named here.
#   vt_liberty vt_netlists vt_top vt_sdc vt_activity vt_power, and those of the SDC
foreach file $vt_liberty { read_liberty $file }
foreach file $vt_netlists { read_verilog $file }
link_design $vt_top
set_cmd_units -time ns -capacitance pF -resistance kOhm -voltage V -current mA -power W
source $vt_sdc
puts "VT slack [worst_slack]"
puts "VT path"
report_checks -path_delay max -format full -digits 4
puts "VT end"
if {$vt_power} {
  set_power_activity -global -activity $vt_activity
  report_power -digits 9
}
puts "VT done"
