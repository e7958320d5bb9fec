-- An IPbus slave whose registers are in another clock domain.
--
-- A request is held still while one bit that says so goes over two flip-flops to the other side; the answer comes back alike.
library ieee;
use ieee.std_logic_1164.all;
use work.ipbus.all;

entity register_crossing is
    generic (
        ADDRESS_BITS : positive := 8
    );
    port (
        ipb_clk    : in  std_logic;
        ipb_rst    : in  std_logic;
        ipb_in     : in  ipb_wbus;
        ipb_out    : out ipb_rbus;
        clk        : in  std_logic;
        address    : out std_logic_vector(ADDRESS_BITS - 1 downto 0);
        write      : out std_logic;
        write_data : out std_logic_vector(31 downto 0);
        read_data  : in  std_logic_vector(31 downto 0)  -- of the address one cycle before
    );
end entity;

architecture rtl of register_crossing is
    -- A request, and its answer, is a change of its bit.
    signal asks, answers         : std_logic := '0';
    signal asks_far, answers_far : std_logic_vector(2 downto 0) := "000";
    signal is_write, busy, ack   : std_logic := '0';
    signal far_read              : std_logic_vector(31 downto 0);
    signal wait_read             : std_logic_vector(1 downto 0) := "00";

    attribute ASYNC_REG : string;
    attribute ASYNC_REG of asks_far, answers_far : signal is "TRUE";
begin
    process (ipb_clk)
    begin
        if rising_edge(ipb_clk) then
            answers_far <= answers_far(1 downto 0) & answers;
            ack <= '0';
            if ipb_rst = '1' then
                busy <= '0';
            elsif busy = '0' and ack = '0' and ipb_in.ipb_strobe = '1' then
                busy <= '1';
                asks <= not asks;
                address <= ipb_in.ipb_addr(ADDRESS_BITS - 1 downto 0);
                write_data <= ipb_in.ipb_wdata;
                is_write <= ipb_in.ipb_write;
            elsif busy = '1' and answers_far(2) /= answers_far(1) then
                busy <= '0';
                ack <= '1';
            end if;
        end if;
    end process;

    ipb_out.ipb_ack <= ack and ipb_in.ipb_strobe;
    ipb_out.ipb_err <= '0';
    ipb_out.ipb_rdata <= far_read;

    process (clk)
    begin
        if rising_edge(clk) then
            asks_far <= asks_far(1 downto 0) & asks;
            write <= '0';
            wait_read <= wait_read(0) & '0';
            if asks_far(2) /= asks_far(1) then
                write <= is_write;
                wait_read(0) <= '1';
            end if;
            if wait_read(1) = '1' then
                far_read <= read_data;
                answers <= not answers;
            end if;
        end if;
    end process;
end architecture;
