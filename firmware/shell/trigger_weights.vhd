-- Brings other weights and thresholds into force with an event: an image, word by word, the words of the core first.
--
-- Only a whole image, of the structure of this core, is put into force. Its words cannot change while events from before
-- it are on their way. What is not possible is ignored and reported.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity trigger_weights is
    generic (
        CORE_WORDS : positive := 2;
        POINTS     : positive := 1;  -- thresholds: two words each, the low one first
        LATENCY    : positive := 2;  -- of the core
        STRUCTURE  : std_logic_vector(31 downto 0) := (others => '0')
    );
    port (
        clk         : in  std_logic;
        rst         : in  std_logic;
        ce          : in  std_logic;
        begins      : in  std_logic;                       -- an image begins; data is its structure
        write       : in  std_logic;                       -- data is its next word
        load        : in  std_logic;                       -- it shall be in force from the next event on
        data        : in  std_logic_vector(31 downto 0);
        event_valid : in  std_logic;
        core_write  : out std_logic;
        core_load   : out std_logic;
        core_busy   : in  std_logic;
        new_thresholds   : out std_logic_vector(POINTS * 64 - 1 downto 0);
        thresholds_write : out std_logic;                  -- they are for the next score
        state       : out std_logic_vector(31 downto 0);   -- bit 31: an image comes into force; bit 30: it is whole; bits 23 to 0: its words
        error       : out std_logic
    );
end entity;

architecture rtl of trigger_weights is
    constant WORDS : positive := CORE_WORDS + 2 * POINTS;

    signal fits, waits, busy, whole, accepted : std_logic;
    signal count                                 : unsigned(23 downto 0);
    signal coming                                : std_logic_vector(0 to LATENCY - 2);  -- beside the first event with the image, until its score
begin
    busy <= waits or core_busy or (or coming);
    whole <= fits when count = WORDS else '0';
    accepted <= write and fits and not busy;

    core_write <= accepted when count < CORE_WORDS else '0';
    core_load <= waits;
    thresholds_write <= ce and coming(LATENCY - 2);
    state <= busy & whole & "000000" & std_logic_vector(count);
    error <= '1' when (begins = '1' and (busy = '1' or data /= STRUCTURE)) or (write = '1' and (busy = '1' or fits = '0'))
             or (load = '1' and (busy = '1' or whole = '0')) else '0';

    process (clk)
    begin
        if rising_edge(clk) then
            if rst = '1' then
                fits <= '0';
                count <= (others => '0');
                waits <= '0';
                coming <= (others => '0');
            else
                if begins = '1' and busy = '0' then
                    fits <= '1' when data = STRUCTURE else '0';
                    count <= (others => '0');
                elsif accepted = '1' and count <= WORDS then
                    count <= count + 1;  -- one too many is never whole
                end if;
                if load = '1' and whole = '1' and busy = '0' then
                    waits <= '1';
                elsif ce = '1' and event_valid = '1' then
                    waits <= '0';
                end if;
                if ce = '1' then
                    coming(0) <= waits and event_valid;
                    for k in 1 to LATENCY - 2 loop
                        coming(k) <= coming(k - 1);
                    end loop;
                end if;
            end if;
            if accepted = '1' and count >= CORE_WORDS and count < WORDS then
                new_thresholds <= data & new_thresholds(POINTS * 64 - 1 downto 32);
            end if;
        end if;
    end process;
end architecture;
