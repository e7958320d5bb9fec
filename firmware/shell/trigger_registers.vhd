-- The registers of a trigger: 32-bit words, one address each; README.md beside the generated trigger lists them.
--
-- Counters of 64 bits are read as they were when the snapshot was last asked for, so that they belong together.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity trigger_registers is
    generic (
        POINTS  : positive := 1;
        VERSION : std_logic_vector(31 downto 0) := (others => '0');
        LATENCY : natural := 0
    );
    port (
        clk             : in  std_logic;
        rst             : in  std_logic;
        address         : in  std_logic_vector(7 downto 0);
        write           : in  std_logic;
        write_data      : in  std_logic_vector(31 downto 0);
        read_data       : out std_logic_vector(31 downto 0);  -- of the address one cycle before

        clear           : out std_logic;
        threshold_write : out std_logic_vector(POINTS - 1 downto 0);
        new_threshold   : out std_logic_vector(63 downto 0);
        prescale_write  : out std_logic_vector(POINTS - 1 downto 0);
        new_prescale    : out std_logic_vector(31 downto 0);
        threshold       : in  std_logic_vector(POINTS * 64 - 1 downto 0);
        prescale        : in  std_logic_vector(POINTS * 32 - 1 downto 0);
        accepted        : in  std_logic_vector(POINTS * 64 - 1 downto 0);
        total           : in  std_logic_vector(63 downto 0);
        saturated       : in  std_logic_vector(63 downto 0);
        error           : in  std_logic_vector(3 downto 0);
        errors          : out std_logic_vector(3 downto 0)    -- stays until it is cleared
    );
end entity;

architecture rtl of trigger_registers is
    constant CONTROL     : natural := 1;
    constant FIRST_POINT : natural := 16;

    signal threshold_high             : std_logic_vector(31 downto 0);
    signal total_seen, saturated_seen : std_logic_vector(63 downto 0);
    signal accepted_seen              : std_logic_vector(POINTS * 64 - 1 downto 0);
    signal place                      : natural range 0 to 255;
    signal point                      : natural range 0 to 31;
    signal field                      : natural range 0 to 7;
    signal is_point, snapshot         : std_logic;
begin
    place <= to_integer(unsigned(address));
    is_point <= '1' when place >= FIRST_POINT and place < FIRST_POINT + 8 * POINTS else '0';
    point <= (place - FIRST_POINT) / 8 when place >= FIRST_POINT else 0;
    field <= place mod 8;
    clear <= write and write_data(1) when place = CONTROL else '0';
    snapshot <= write and write_data(0) when place = CONTROL else '0';
    new_threshold <= threshold_high & write_data;
    new_prescale <= write_data;

    decode : for k in 0 to POINTS - 1 generate
        threshold_write(k) <= write and is_point when point = k and field = 1 else '0';
        prescale_write(k) <= write and is_point when point = k and field = 2 else '0';
    end generate;

    process (clk)
    begin
        if rising_edge(clk) then
            if rst = '1' then
                threshold_high <= (others => '0');
            elsif write = '1' and is_point = '1' and field = 0 then
                threshold_high <= write_data;
            end if;

            if rst = '1' or clear = '1' then
                errors <= "0000";
            else
                errors <= errors or error;
            end if;

            if rst = '1' then
                total_seen <= (others => '0');
                saturated_seen <= (others => '0');
                accepted_seen <= (others => '0');
            elsif snapshot = '1' then
                total_seen <= total;
                saturated_seen <= saturated;
                accepted_seen <= accepted;
            end if;

            read_data <= (others => '0');
            if is_point = '1' then
                case field is
                    when 0 => read_data <= threshold(64 * point + 63 downto 64 * point + 32);
                    when 1 => read_data <= threshold(64 * point + 31 downto 64 * point);
                    when 2 => read_data <= prescale(32 * point + 31 downto 32 * point);
                    when 3 => read_data <= accepted_seen(64 * point + 63 downto 64 * point + 32);
                    when 4 => read_data <= accepted_seen(64 * point + 31 downto 64 * point);
                    when others => null;
                end case;
            else
                case place is
                    when 0 => read_data <= VERSION;
                    when 2 => read_data(3 downto 0) <= errors;
                    when 3 => read_data <= std_logic_vector(to_unsigned(LATENCY, 32));
                    when 4 => read_data <= total_seen(63 downto 32);
                    when 5 => read_data <= total_seen(31 downto 0);
                    when 6 => read_data <= saturated_seen(63 downto 32);
                    when 7 => read_data <= saturated_seen(31 downto 0);
                    when 8 => read_data <= std_logic_vector(to_unsigned(POINTS, 32));
                    when others => null;
                end case;
            end if;
        end if;
    end process;
end architecture;
