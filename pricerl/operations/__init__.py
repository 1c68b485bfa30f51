"""Operations after the advice: decision log, orders, kill switch, track record and supervision."""
