# Out-of-context synthesis and implementation of net.
read_verilog {FOLDER/src/net_cells.v}
read_verilog {FOLDER/src/net.v}
synth_design -top net -part xcvu13p-flga2577-2-e -mode out_of_context
create_clock -name clk -period 2.7778 [get_ports clk]
opt_design
place_design
phys_opt_design
route_design
report_utilization -file utilization.rpt
report_timing_summary -file timing.rpt
write_checkpoint -force routed.dcp
