from .render import FOLDER as FOLDER, INDEX as INDEX, render_page as render_page, render_pages as render_pages
