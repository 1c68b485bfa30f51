@echo off
rem Open pricerl in the browser; the first time, start.py says what it downloads, and asks.
set "RUN=py -3"
where /q py || set "RUN=python"
%RUN% "%~dp0start.py"
if errorlevel 9009 echo Python 3.10 or newer is needed: https://www.python.org/downloads/
pause
