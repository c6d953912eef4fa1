package video

const fakeVariable = "METTLE_TEST_FFMPEG"

func fakeFFmpeg(how string) int { return 0 }
