package dev.mdev.host.mdev;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ResidencyViewTest {
    @ParameterizedTest
    @CsvSource({"0,256,1", "1,1,1", "256,256,1", "257,256,2", "513,256,4", "4096,4096,1", "5,1,8"})
    void aCellIsTheSmallestPowerOfTwoThatFits(long pages, int cells, long wanted) {
        assertThat(ResidencyView.pagesPerCell(pages, cells)).isEqualTo(wanted);
    }
}
